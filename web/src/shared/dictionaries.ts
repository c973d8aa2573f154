import { shallowRef, type ShallowRef } from 'vue'
import { request } from './http'

export interface DictionaryEntry {
  value: string
  label: string
}

export type Dictionaries = Record<string, DictionaryEntry[]>

const loaded: ShallowRef<Dictionaries> = shallowRef({})
let loading: Promise<void> | null = null

/**
 * The labels of coded values, the same ones that stand in exported files. They are loaded once per page; until then, and
 * for a value that has none, the value itself is shown.
 */
export function useDictionaries(): {
  entries(name: string): DictionaryEntry[]
  label(name: string, value: string | null | undefined): string
} {
  loading ??= request<Dictionaries>('D', '/api/dictionaries')
    .then(({ data }) => {
      loaded.value = data
    })
    .catch(() => {
      loading = null // the next list tries again; this one shows the values
    })
  const entries = (name: string) => loaded.value[name] ?? []
  return {
    entries,
    label: (name, value) => entries(name).find((entry) => entry.value === value)?.label ?? value ?? '',
  }
}
