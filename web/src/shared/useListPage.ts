import { computed, onScopeDispose, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { isAbort, toApiError, type ApiError } from './errors'
import { readState, writeState, type ListSpec, type ListState } from './urlQuery'

export interface ListResult<Row> {
  rows: Row[]
  total: number
  /** The total is about right, no more: it may be too high as well as too low. */
  estimated: boolean
}

export interface ListPage<K extends string, Row> {
  state: ComputedRef<ListState<K>>
  rows: ShallowRef<Row[]>
  total: Ref<number>
  estimated: Ref<boolean>
  /** The last page on which this search has shown rows, 1 before it has: where to turn from a page without any. */
  lastHeld: Ref<number>
  loading: Ref<boolean>
  /** Rows or an error have been shown already: before that the page shows a skeleton. */
  loaded: Ref<boolean>
  error: ShallowRef<ApiError | null>
  search(filters: Record<K, string>): void
  setPage(page: number): void
  setPerPage(perPage: number): void
  reload(): Promise<void>
  /** Loads again without a word: rows change in place, and a failure leaves what is shown. */
  refresh(): Promise<void>
}

/**
 * A list whose filters and page live in the address: every change goes there first, and what stands there is loaded.
 * So reload, back and a shared link all show the same list. A newer request ends the one before.
 */
export function useListPage<K extends string, Row>(
  spec: ListSpec<K>,
  load: (state: ListState<K>, signal: AbortSignal) => Promise<ListResult<Row>>,
): ListPage<K, Row> {
  const route = useRoute()
  const router = useRouter()
  const home = route.path
  const state = computed(() => readState(route.query, spec))
  const rows = shallowRef<Row[]>([])
  const total = ref(0)
  const estimated = ref(false)
  const lastHeld = ref(1)
  let held = '' // the search that lastHeld is about
  const loading = ref(false)
  const loaded = ref(false)
  const error = shallowRef<ApiError | null>(null)
  let running: AbortController | null = null

  async function fetchRows(quiet: boolean): Promise<void> {
    // A person's own request is not to be replaced by a quiet one: it brings the news as well.
    if (quiet && loading.value) return
    running?.abort()
    const own = new AbortController()
    running = own
    loading.value = !quiet
    try {
      const result = await load(state.value, own.signal)
      if (running !== own) return
      const settled = settle(result, state.value)
      rows.value = result.rows
      total.value = settled.total
      estimated.value = settled.estimated
      noteHeld(result.rows.length > 0)
      error.value = null
      stepBackFromBeyondTheEnd(result)
    } catch (cause) {
      if (running !== own || isAbort(cause) || quiet) return
      rows.value = []
      error.value = toApiError(cause)
    } finally {
      if (running === own) {
        running = null
        loading.value = false
        loaded.value = true
      }
    }
  }

  function noteHeld(hasRows: boolean): void {
    const { page, perPage, filters } = state.value
    const search = JSON.stringify([filters, perPage])
    if (search !== held || (!hasRows && page <= lastHeld.value)) lastHeld.value = 1
    held = search
    if (hasRows) lastHeld.value = Math.max(lastHeld.value, page)
  }

  const reload = (): Promise<void> => fetchRows(false)

  /**
   * Rows may have gone since the address was made; an empty page would look like an empty list. Where an estimate was too
   * high it does not say how far back to go: the table offers lastHeld.
   */
  function stepBackFromBeyondTheEnd(result: ListResult<Row>): void {
    const { page, perPage } = state.value
    const last = Math.max(1, Math.ceil(result.total / perPage))
    if (result.rows.length === 0 && page > last) void router.replace({ query: writeState({ ...state.value, page: last }, spec) })
  }

  function go(next: ListState<K>): void {
    const query = writeState(next, spec)
    if (JSON.stringify(query) === JSON.stringify(writeState(state.value, spec))) void reload()
    else void router.push({ query })
  }

  // The key is text, so that an address which says the same in other words loads nothing twice; another page's address
  // is none of ours while the router takes us down.
  watch(
    () => (route.path === home ? JSON.stringify(state.value) : null),
    (key) => {
      if (key !== null) void reload()
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    running?.abort()
    running = null
  })

  return {
    state,
    rows,
    total,
    estimated,
    lastHeld,
    loading,
    loaded,
    error,
    search: (filters) => go({ ...state.value, filters, page: 1 }),
    setPage: (page) => go({ ...state.value, page }),
    setPerPage: (perPage) => go({ ...state.value, perPage, page: 1 }),
    reload,
    refresh: () => fetchRows(true),
  }
}

/** An estimate as far as the rows of a page correct it: a short page is the last one, after a full one there may be more. */
function settle<Row>({ rows, total, estimated }: ListResult<Row>, { page, perPage }: ListState<string>): { total: number; estimated: boolean } {
  if (!estimated) return { total, estimated }
  const seen = (page - 1) * perPage + rows.length
  if (rows.length === 0 && page > 1) return { total: Math.min(total, seen), estimated }
  return rows.length < perPage ? { total: seen, estimated: false } : { total: Math.max(total, seen + 1), estimated }
}
