import { flushPromises, mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { defineComponent, h, ref } from 'vue'
import { fakeRealtime } from '@/realtime/fake'
import ExportButton from './ExportButton.vue'
import ExportPanel from './ExportPanel.vue'
import { provideExportProgress } from './useExportProgress'

const fetchMock = vi.fn<typeof fetch>()
beforeEach(() => {
  fetchMock.mockReset()
  vi.stubGlobal('fetch', fetchMock)
})
afterEach(() => vi.unstubAllGlobals())

const json = (status: number, body: unknown, headers: Record<string, string> = {}) => new Response(JSON.stringify(body), { status, headers })

function show(allowed: boolean) {
  const line = fakeRealtime()
  const host = defineComponent({
    setup() {
      provideExportProgress({
        channel: ref('/export/1-x'),
        memory: { load: () => ({ shown: [], dismissed: [] }), save: () => undefined },
        onEnd: () => undefined,
        onRefused: () => undefined,
        connection: () => line.connection,
      })
      return () => [
        h(ExportButton, { envelope: 'A', path: '/api/admin/invitations', filters: { approve_status: 'applying' }, allowed }),
        h(ExportPanel, { titles: { 'Exports::Invitation': '邀请记录' } }),
      ]
    },
  })
  const wrapper = mount(host)
  const find = (id: string) => wrapper.find(`[data-testid="${id}"]`)
  return { wrapper, find, line }
}

describe('ExportButton', () => {
  it('is disabled without the permission, and asks the server nothing', async () => {
    const { find } = show(false)
    expect(find('export-button').attributes('disabled')).toBeDefined()
    await find('export-button').trigger('click')
    expect(fetchMock).not.toHaveBeenCalled()
  })

  it('queues the filtered list in the chosen format and shows its progress to the download', async () => {
    fetchMock.mockImplementation((url) =>
      Promise.resolve(
        String(url).startsWith('/api/exports/')
          ? json(200, { uuid: 'u-1', status: 'queued', progress: 0 })
          : json(200, { code: 0, remark: '导出任务已经加入队列,请耐心等待', data: { uuid: 'u-1' } }),
      ),
    )
    const { find, line } = show(true)
    await find('export-format-csv').find('input').setValue()
    await find('export-button').trigger('click')
    await flushPromises()
    expect(fetchMock.mock.calls[0]?.[0]).toBe('/api/admin/invitations?approve_status=applying&export_format=csv')
    expect(find('export-status').text()).toBe('排队等待中')

    const event = { file_url: null, service: 'Exports::Invitation', uuid: 'u-1', count: 6, file_size: null }
    line.push({ ...event, status: 'writing_file', progress: 73, seq: 4, attempt: 2, rows: 4 })
    await flushPromises()
    expect([find('export-status').text(), find('export-percent').text()]).toEqual(['正在写入文件', '73%'])
    expect(find('export-facts').text()).toContain('第 2 次尝试')
    expect(find('export-download').exists()).toBe(false)

    line.push({ ...event, status: 'success', progress: 100, seq: 5, attempt: 2, file_size: 4202, file_url: 'https://files.example.com/export/1_u-1.csv?s=x' })
    await flushPromises()
    expect(find('export-facts').text()).toContain('4.1 KB')
    expect(find('export-download').attributes()).toMatchObject({ href: 'https://files.example.com/export/1_u-1.csv?s=x', target: '_blank' })
  })

  it('shows the literal refusal of the server', async () => {
    const text = '你没有应用导出的权限'
    fetchMock.mockResolvedValueOnce(json(200, { code: 401, message: text, remark: text, error: 'errors/unauthorized_error' }))
    const { find } = show(true)
    await find('export-button').trigger('click')
    await flushPromises()
    expect(find('error-message').text()).toContain(text)
    expect(find('export-panel').exists()).toBe(false)
  })

  it('shows the job that is in the way', async () => {
    const remark = '当前用户已经有导出任务排队或执行,请稍后再试'
    fetchMock.mockImplementation((url) =>
      Promise.resolve(
        String(url).startsWith('/api/exports/')
          ? json(200, { uuid: 'u-0', status: 'writing_file', progress: 40, count: 6 })
          : json(200, { code: -1, message: 'failure', remark, error: 'standard_error' }, { Location: '/api/exports/u-0', 'Retry-After': '5' }),
      ),
    )
    const { find } = show(true)
    await find('export-button').trigger('click')
    await flushPromises()
    expect(find('error-message').text()).toContain(remark)
    expect(find('error-message').text()).toContain('请在 5 秒后再试')
    expect(find('export-job').attributes('data-uuid')).toBe('u-0')
    expect(find('export-percent').text()).toBe('40%')
  })

  it('opens the panel for an export that was over before its request was answered', async () => {
    const { find, line } = show(true)
    fetchMock.mockImplementation((url) => {
      if (String(url).startsWith('/api/exports/')) return Promise.resolve(json(200, { uuid: 'u-1', status: 'success', progress: 100 }))
      line.push({ status: 'success', file_url: '/f', progress: 100, service: 'Exports::Invitation', uuid: 'u-1', count: 6, file_size: 9, seq: 7, replayed: true })
      return Promise.resolve(json(200, { code: 0, remark: '', data: { uuid: 'u-1' } }))
    })
    line.push({ status: 'success', file_url: '/f', progress: 100, service: 'Exports::Invitation', uuid: 'u-0', count: 6, file_size: 9, seq: 7, replayed: true })
    await flushPromises()
    expect(find('export-panel').attributes('data-open'), 'old news are nothing to open for').toBe('false')
    await find('export-button').trigger('click')
    await flushPromises()
    expect(find('export-panel').attributes('data-open')).toBe('true')
  })

  it('shows what of the data the file holds otherwise, once there is a file', async () => {
    const { find, line } = show(true)
    const changed = '2 处文字超过单元格的长度上限，已截断;1 处文字含有无效字符，已替换为 \uFFFD'
    const event = { file_url: null, service: 'Exports::Invitation', uuid: 'u-1', count: 6, file_size: 9, changed }
    line.push({ ...event, status: 'before_upload', progress: 90, seq: 6 })
    await flushPromises()
    expect(find('export-changed').exists()).toBe(false)
    line.push({ ...event, status: 'success', progress: 100, seq: 7, file_url: '/export/1_u-1.xlsx?s=x' })
    await flushPromises()
    expect(find('export-changed').text()).toBe('请注意:' + changed)
  })

  it('says nothing of changes where there are none', async () => {
    const { find, line } = show(true)
    line.push({ status: 'success', file_url: '/export/1_u-1.xlsx?s=x', progress: 100, service: 'Exports::Invitation', uuid: 'u-1', count: 6, file_size: 9, seq: 7 })
    await flushPromises()
    expect(find('export-status').text()).toBe('导出完成')
    expect(find('export-changed').exists()).toBe(false)
  })

  it('shows why an export failed', async () => {
    const { find, line } = show(true)
    line.push({ status: 'failure', file_url: null, progress: 90, service: 'Exports::Invitation', uuid: 'u-1', count: 6, file_size: 9, seq: 7, error: '存储空间不足，请稍后再试' })
    await flushPromises()
    expect([find('export-status').text(), find('export-error').text()]).toEqual(['导出失败', '存储空间不足，请稍后再试'])
  })
})
