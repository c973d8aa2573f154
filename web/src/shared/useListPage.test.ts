import { flushPromises, mount } from '@vue/test-utils'
import { describe, expect, it, vi } from 'vitest'
import { defineComponent, h } from 'vue'
import { createMemoryHistory, createRouter, RouterView } from 'vue-router'
import { ApiError } from './errors'
import type { ListState } from './urlQuery'
import { useListPage, type ListPage, type ListResult } from './useListPage'

interface Row {
  id: number
}
type Load = (state: ListState<'name'>, signal: AbortSignal) => Promise<ListResult<Row>>

async function open(address: string, load: Load) {
  let list!: ListPage<'name', Row>
  const page = defineComponent({
    setup() {
      list = useListPage({ filters: ['name'] as const, perPage: 15 }, load)
      return () => h('div')
    },
  })
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/things', component: page },
      { path: '/elsewhere', component: { render: () => h('div') } },
    ],
  })
  await router.push(address)
  const wrapper = mount({ render: () => h(RouterView) }, { global: { plugins: [router] } })
  await flushPromises()
  return { list, router, wrapper }
}

const result = (total: number, ...ids: number[]): ListResult<Row> => ({ rows: ids.map((id) => ({ id })), total, estimated: false })

describe('useListPage', () => {
  it('loads what the address says and puts changes there', async () => {
    const load = vi.fn<Load>().mockResolvedValue(result(90, 1))
    const { list, router } = await open('/things?name=a&page=2', load)
    expect(load.mock.calls[0]?.[0]).toEqual({ filters: { name: 'a' }, page: 2, perPage: 15 })
    expect([list.loaded.value, list.loading.value, list.total.value, list.rows.value]).toEqual([true, false, 90, [{ id: 1 }]])

    list.search({ name: 'b' })
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ name: 'b' })
    list.setPage(3)
    await flushPromises()
    list.setPerPage(50)
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ name: 'b', per_page: '50' })
    expect(load).toHaveBeenCalledTimes(4)

    router.back()
    await flushPromises()
    expect(load.mock.lastCall?.[0]).toMatchObject({ filters: { name: 'b' }, page: 3 })
  })

  it('loads again when the same search is asked for', async () => {
    const load = vi.fn<Load>().mockResolvedValue(result(1, 1))
    const { list } = await open('/things?name=a', load)
    list.search({ name: 'a' })
    await flushPromises()
    expect(load).toHaveBeenCalledTimes(2)
  })

  it('lets a newer request win, whatever order the answers have', async () => {
    const answers: ((value: ListResult<Row>) => void)[] = []
    const signals: AbortSignal[] = []
    const { list } = await open('/things', (_, signal) => {
      signals.push(signal)
      return new Promise((resolve) => answers.push(resolve))
    })
    list.search({ name: 'new' })
    await flushPromises()
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false])
    answers[1]?.(result(1, 2))
    await flushPromises()
    answers[0]?.(result(1, 1))
    await flushPromises()
    expect(list.rows.value).toEqual([{ id: 2 }])
    expect(list.loading.value).toBe(false)
  })

  it('shows an error and recovers from it', async () => {
    const load = vi.fn<Load>().mockRejectedValueOnce(new ApiError('unavailable', '暂时不可用')).mockResolvedValue(result(1, 1))
    const { list } = await open('/things', load)
    expect(list.error.value?.message).toBe('暂时不可用')
    await list.reload()
    expect([list.error.value, list.rows.value.length]).toEqual([null, 1])
  })

  it('refreshes in place: no sign of loading, no error, and never instead of what a person asked for', async () => {
    const load = vi.fn<Load>().mockResolvedValueOnce(result(1, 1)).mockRejectedValueOnce(new ApiError('network', 'x')).mockResolvedValueOnce(result(2, 1, 2))
    const { list } = await open('/things', load)
    const refreshed = list.refresh()
    expect(list.loading.value).toBe(false)
    await refreshed
    expect([list.error.value, list.rows.value.length]).toEqual([null, 1])
    await list.refresh()
    expect(list.rows.value.length).toBe(2)

    load.mockReturnValue(new Promise(() => undefined))
    list.search({ name: 'b' })
    await flushPromises()
    const asked = load.mock.calls.length
    await list.refresh()
    expect(load).toHaveBeenCalledTimes(asked)
  })

  it('steps back from a page beyond the end', async () => {
    const load = vi.fn<Load>().mockImplementation((state) => Promise.resolve(state.page > 2 ? result(20) : result(20, 16)))
    const { list, router } = await open('/things?page=9', load)
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ page: '2' })
    expect(list.rows.value).toEqual([{ id: 16 }])
  })

  it('corrects an estimate by the rows it gets', async () => {
    const ids = Array.from({ length: 15 }, (_, i) => i + 1)
    const load = vi.fn<Load>().mockImplementation((state) => Promise.resolve({ rows: state.page > 2 ? [] : result(0, ...ids.slice(state.page === 2 ? 12 : 0)).rows, total: state.page === 1 ? 4 : 900, estimated: true }))
    const { list } = await open('/things', load)
    expect([list.total.value, list.estimated.value]).toEqual([16, true]) // too low: a full page may have one after it
    list.setPage(2)
    await flushPromises()
    expect([list.total.value, list.estimated.value]).toEqual([18, false]) // a short page is the last
    list.setPage(40)
    await flushPromises()
    expect([list.total.value, list.estimated.value, list.rows.value.length]).toEqual([585, true, 0])
  })

  it('knows the page to turn back to from an empty one that an estimate promised', async () => {
    let last = 3
    const load = vi.fn<Load>().mockImplementation((state) => Promise.resolve({ rows: state.page > last ? [] : [{ id: 1 }], total: 9000, estimated: true }))
    const { list, router } = await open('/things?page=500', load)
    expect([list.lastHeld.value, router.currentRoute.value.query]).toEqual([1, { page: '500' }])
    for (const page of [3, 2, 40]) {
      list.setPage(page)
      await flushPromises()
    }
    expect(list.lastHeld.value).toBe(3)
    last = 1 // rows have gone
    list.setPage(3)
    await flushPromises()
    expect(list.lastHeld.value).toBe(1)
    list.setPage(1)
    await flushPromises()
    list.search({ name: 'b' })
    await flushPromises()
    expect(list.lastHeld.value).toBe(1)
  })

  it('takes an estimate over no rows at all for none', async () => {
    const { list } = await open('/things', vi.fn<Load>().mockResolvedValue({ rows: [], total: 500, estimated: true }))
    expect([list.total.value, list.estimated.value]).toEqual([0, false])
  })

  it('asks for nothing once the person has left', async () => {
    const signals: AbortSignal[] = []
    const { router } = await open('/things', (_, signal) => {
      signals.push(signal)
      return new Promise(() => undefined)
    })
    await router.push('/elsewhere?name=b')
    await flushPromises()
    expect(signals.map((signal) => signal.aborted)).toEqual([true])
  })
})
