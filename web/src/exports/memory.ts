/** The jobs a tab shows and those the person dismissed, so that a reload keeps both; per person, since a tab may change hands. */
export interface JobMemory {
  load(): RememberedJobs
  save(jobs: RememberedJobs): void
}

/** By uuid, newest first. */
export interface RememberedJobs {
  shown: string[]
  dismissed: string[]
}

const mostShown = 20
/** More than a person may export in a day. */
const mostDismissed = 100

/** Memory in the tab's session storage. A browser that refuses storage costs the convenience, nothing else. */
export function sessionMemory(owner: number): JobMemory {
  const key = `exporthub.exports.${owner}`
  return {
    load() {
      try {
        const value: unknown = JSON.parse(window.sessionStorage.getItem(key) ?? 'null')
        const jobs = (typeof value === 'object' && value !== null ? value : {}) as Partial<Record<keyof RememberedJobs, unknown>>
        return { shown: texts(jobs.shown, mostShown), dismissed: texts(jobs.dismissed, mostDismissed) }
      } catch {
        return { shown: [], dismissed: [] }
      }
    },
    save({ shown, dismissed }) {
      try {
        window.sessionStorage.setItem(key, JSON.stringify({ shown: shown.slice(0, mostShown), dismissed: dismissed.slice(0, mostDismissed) }))
      } catch {
        // full or forbidden: see above
      }
    },
  }
}

function texts(value: unknown, most: number): string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string').slice(0, most) : []
}
