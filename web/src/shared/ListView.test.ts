import { flushPromises, mount } from '@vue/test-utils'
import { describe, expect, it, vi } from 'vitest'
import { defineComponent, h, type Component } from 'vue'
import { createMemoryHistory, createRouter, RouterView } from 'vue-router'
import DataTable from './DataTable.vue'
import ListView from './ListView.vue'
import { ApiError } from './errors'
import type { FilterField } from './filters'
import { useListPage, type ListResult } from './useListPage'
import type { ListState } from './urlQuery'

interface Row {
  id: number
  name: string
}
type Key = 'tab' | 'name' | 'from' | 'to' | 'kind'

const fields: FilterField<'name' | 'from' | 'to' | 'kind'>[] = [
  { type: 'text', key: 'name', label: '姓名' },
  { type: 'dates', key: 'from', endKey: 'to', label: '时间' },
  { type: 'select', key: 'kind', label: '种类', options: [{ value: 'a', label: '甲类' }] },
]
const columns = [
  { key: 'id', label: 'ID', text: (row: Row) => row.id },
  { key: 'name', label: '姓名', text: (row: Row) => row.name },
]

async function show(address: string, rows: Row[], failure?: ApiError, count: Partial<ListResult<Row>> = {}) {
  const load = vi.fn<(state: ListState<Key>) => Promise<ListResult<Row>>>(() =>
    failure ? Promise.reject(failure) : Promise.resolve({ rows, total: rows.length, estimated: false, ...count }),
  )
  const exported: unknown[] = []
  const page = defineComponent({
    setup() {
      const list = useListPage<Key, Row>({ filters: ['tab', 'name', 'from', 'to', 'kind'], perPage: 15 }, load)
      return () =>
        h(
          ListView as unknown as Component, // h knows no slots whose names are a pattern
          { title: '某些行', list, fields, columns, selectable: () => true },
          {
            actions: (scope: unknown) => {
              exported.push(scope)
              return h('button', { 'data-testid': 'action' })
            },
            above: () => h('p', { 'data-testid': 'above' }),
            'cell-name': ({ row }: { row: Row }) => h('b', { 'data-testid': 'cell' }, row.name),
            default: () => h('i', { 'data-testid': 'dialog' }),
          },
        )
    },
  })
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/rows', component: page }] })
  await router.push(address)
  const wrapper = mount({ render: () => h(RouterView) }, { global: { plugins: [router] }, attachTo: document.body })
  await flushPromises()
  const find = (id: string) => wrapper.find(`[data-testid="${id}"]`)
  return { wrapper, find, load, router, exported }
}

const rows = [{ id: 1, name: '甲' }]

// A whole page is drawn in each: on a busy machine that takes its time.
describe('ListView', { timeout: 30_000 }, () => {
  it('shows the title, what can be done, the rows and the page’s own cells', async () => {
    const { wrapper, find } = await show('/rows', rows)
    expect(wrapper.find('h1').text()).toBe('某些行')
    for (const id of ['action', 'above', 'dialog', 'list-table']) expect(find(id).exists(), id).toBe(true)
    expect(find('cell').text()).toBe('甲')
    expect(find('list-total').attributes('data-total')).toBe('1')
  })

  it('gives an export the filters that have a field, with their names', async () => {
    const { exported } = await show('/rows?tab=read&name=a&to=2026-01-02', rows)
    expect(exported.at(-1)).toEqual({
      filters: { name: 'a', from: '', to: '2026-01-02', kind: '' },
      labels: { name: '姓名', from: '时间(起)', to: '时间(止)', kind: '种类' },
    })
  })

  it('searches with what is typed, and leaves filters without a field as they are', async () => {
    const { find, router, load } = await show('/rows?tab=read&page=3&from=2026-01-01', rows)
    await find('filter-name').find('input').setValue(' 乙 ')
    await find('filter-submit').trigger('submit')
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ tab: 'read', name: '乙', from: '2026-01-01' })
    expect(load.mock.lastCall?.[0].page).toBe(1)
  })

  it('offers to clear the filters that are shown, and no others', async () => {
    const { find, router } = await show('/rows?tab=read&name=a', [])
    await find('list-clear').trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ tab: 'read' })
    expect(find('list-empty').exists()).toBe(true)
    expect(find('list-clear').exists()).toBe(false)
  })

  it('says of an estimated total that it is about right, and of an empty page behind it that there is no more', async () => {
    const { find, router } = await show('/rows?name=a&page=40', [], undefined, { total: 9000, estimated: true })
    expect(find('list-total').text()).toBe('约 585 条')
    expect(find('list-beyond').text()).toContain('没有更多记录')
    expect(find('list-empty').exists()).toBe(false)
    expect(router.currentRoute.value.query.page).toBe('40') // the buttons below do not turn by themselves
    await find('list-back').trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ name: 'a' })
  })

  it.each([
    ['from=2026-01-01', ['2026-01-01', '']],
    ['to=2026-01-02', ['', '2026-01-02']],
    ['from=2026-01-01 08:00&to=2026-02-31', ['2026-01-01 08:00', '2026-02-31']],
  ])('shows half a range of dates, and one that is no date: %s', async (query, shown) => {
    const { find } = await show(`/rows?${query}`, rows)
    expect(find('filter-from').findAll('input').map(({ element }) => element.value)).toEqual(shown)
  })

  it('searches with half a range of dates', async () => {
    const { find, router } = await show('/rows?from=2026-01-01', rows)
    const [from, to] = find('filter-from').findAll('input')
    await to?.setValue('2026-03-04')
    await to?.trigger('change')
    await find('filter-submit').trigger('submit')
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ from: '2026-01-01', to: '2026-03-04' })
    await from?.setValue('')
    await from?.trigger('change')
    await find('filter-submit').trigger('submit')
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({ to: '2026-03-04' })
  })

  it('shows a value that is none of the options as it is', async () => {
    const { find } = await show('/rows?kind=maybe', rows)
    expect(find('filter-kind').text()).toContain('maybe')
  })

  it('offers to clear filters that the server can’t read', async () => {
    const { find, router } = await show('/rows?kind=maybe', [], new ApiError('invalid', 'kind 不能识别'))
    expect(find('list-retry').exists()).toBe(true)
    await find('list-clear').trigger('click')
    await flushPromises()
    expect(router.currentRoute.value.query).toEqual({})
    expect(find('list-clear').exists()).toBe(false)
  })

  it('clears the ticks when the filters change, not when the page does', async () => {
    const { wrapper, router } = await show('/rows', rows)
    const table = wrapper.findComponent(DataTable)
    await wrapper.find('.el-table__body .el-checkbox input').setValue(true)
    const ticks = () => (table.emitted('select') ?? []).map(([ticked]) => (ticked as Row[]).length)
    expect(ticks()).toEqual([1])
    await router.push('/rows?page=2')
    await flushPromises()
    expect(ticks()).toEqual([1])
    await router.push('/rows?name=a')
    await flushPromises()
    expect(ticks()).toEqual([1, 0])
  })

  it('shows an error in words and asks again', async () => {
    const { find, load } = await show('/rows', [], new ApiError('server', '服务器错误'))
    expect(find('error-message').text()).toContain('服务器错误')
    expect(find('list-clear').exists()).toBe(false)
    await find('list-retry').trigger('click')
    expect(load).toHaveBeenCalledTimes(2)
  })
})
