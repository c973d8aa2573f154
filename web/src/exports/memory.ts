/** The jobs a tab shows, kept so that a reload shows them again; per person, since a tab may change hands. */
export interface JobMemory {
  load(): string[]
  save(uuids: string[]): void
}

const most = 20

/** Memory in the tab's session storage. A browser that refuses storage costs the convenience, nothing else. */
export function sessionMemory(owner: number): JobMemory {
  const key = `exporthub.exports.${owner}`
  return {
    load() {
      try {
        const value: unknown = JSON.parse(window.sessionStorage.getItem(key) ?? '[]')
        return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string').slice(0, most) : []
      } catch {
        return []
      }
    },
    save(uuids) {
      try {
        window.sessionStorage.setItem(key, JSON.stringify(uuids.slice(0, most)))
      } catch {
        // full or forbidden: see above
      }
    },
  }
}
