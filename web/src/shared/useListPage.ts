import { computed, onScopeDispose, ref, shallowRef, watch, type ComputedRef, type Ref, type ShallowRef } from 'vue'
import { useRoute, useRouter } from 'vue-router'
import { isAbort, toApiError, type ApiError } from './errors'
import { readState, writeState, type ListSpec, type ListState } from './urlQuery'

export interface ListResult<Row> {
  rows: Row[]
  total: number
  /** The total is a lower bound: the server stopped counting. */
  estimated: boolean
}

export interface ListPage<K extends string, Row> {
  state: ComputedRef<ListState<K>>
  rows: ShallowRef<Row[]>
  total: Ref<number>
  estimated: Ref<boolean>
  loading: Ref<boolean>
  /** Something has been shown or told already: before that the page shows a skeleton. */
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
      rows.value = result.rows
      total.value = result.total
      estimated.value = result.estimated
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

  const reload = (): Promise<void> => fetchRows(false)

  /** Rows may have gone since the address was made; an empty page would look like an empty list. */
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
