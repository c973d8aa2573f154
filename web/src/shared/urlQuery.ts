import type { LocationQuery, LocationQueryRaw } from 'vue-router'

/** What a list shows, read from the address: filters by name, empty when unset. */
export interface ListState<K extends string> {
  filters: Record<K, string>
  page: number
  perPage: number
}

export interface ListSpec<K extends string> {
  filters: readonly K[]
  perPage: number
  /** The server always gives this many rows: the address says nothing of it. */
  fixedSize?: boolean
}

/** The most rows the server gives for one page. */
export const maxPerPage = 1000

/** Reads the address. What it can't make sense of counts as unset, so a mistyped link still shows a list. */
export function readState<K extends string>(query: LocationQuery, spec: ListSpec<K>): ListState<K> {
  const filters = {} as Record<K, string>
  for (const name of spec.filters) filters[name] = first(query[name]).trim()
  return {
    filters,
    page: positive(first(query.page), 1),
    perPage: spec.fixedSize ? spec.perPage : Math.min(positive(first(query.per_page), spec.perPage), maxPerPage),
  }
}

/** Writes the address: only what differs from an untouched list, so that links stay short. */
export function writeState<K extends string>(state: ListState<K>, spec: ListSpec<K>): LocationQueryRaw {
  const query: LocationQueryRaw = {}
  for (const name of spec.filters) {
    if (state.filters[name] !== '') query[name] = state.filters[name]
  }
  if (state.page !== 1) query.page = String(state.page)
  if (state.perPage !== spec.perPage) query.per_page = String(state.perPage)
  return query
}

function first(value: LocationQuery[string] | undefined): string {
  const single = Array.isArray(value) ? value[0] : value
  return single ?? ''
}

function positive(text: string, fallback: number): number {
  const value = Number(text)
  return Number.isSafeInteger(value) && value > 0 ? value : fallback
}
