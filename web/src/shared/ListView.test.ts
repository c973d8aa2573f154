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
type Key = 'tab' | 'name' | 'from' | 'to'

const fields: FilterField<'name' | 'from' | 'to'>[] = [
  { type: 'text', key: 'name', label: '姓名' },
  { type: 'dates', key: 'from', endKey: 'to', label: '时间' },
]
const columns = [
  { key: 'id', label: 'ID', text: (row: Row) => row.id },
  { key: 'name', label: '姓名', text: (row: Row) => row.name },
]

async function show(address: string, rows: Row[], failure?: ApiError) {
  const load = vi.fn<(state: ListState<Key>) => Promise<ListResult<Row>>>(() =>
    failure ? Promise.reject(failure) : Promise.resolve({ rows, total: rows.length, estimated: false }),
  )
  const exported: unknown[] = []
  const page = defineComponent({
    setup() {
      const list = useListPage<Key, Row>({ filters: ['tab', 'name', 'from', 'to'], perPage: 15 }, load)
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
      filters: { name: 'a', from: '', to: '2026-01-02' },
      labels: { name: '姓名', from: '时间(起)', to: '时间(止)' },
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

  it('forgets what is ticked when the filters change, not when the page does', async () => {
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

  it('tells an error in words and asks again', async () => {
    const { find, load } = await show('/rows', [], new ApiError('server', '服务器错误'))
    expect(find('error-message').text()).toContain('服务器错误')
    await find('list-retry').trigger('click')
    expect(load).toHaveBeenCalledTimes(2)
  })
})
