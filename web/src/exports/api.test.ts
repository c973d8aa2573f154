import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { fetchExport, jobOfLocation, queueExport } from './api'

const fetchMock = vi.fn<typeof fetch>()
beforeEach(() => {
  fetchMock.mockReset()
  vi.stubGlobal('fetch', fetchMock)
})
afterEach(() => vi.unstubAllGlobals())

const answer = (body: unknown, headers: Record<string, string> = {}) =>
  fetchMock.mockResolvedValueOnce(new Response(JSON.stringify(body), { status: 200, headers }))

describe('queueExport', () => {
  it('sends the filters with the format and reads what is left today', async () => {
    answer({ code: 0, remark: '导出任务已经加入队列,请耐心等待', data: { uuid: 'u-1' } }, { 'RateLimit-Remaining': '48' })
    expect(await queueExport('A', '/api/admin/invitations', { approve_status: 'applying', user_phone: '' }, 'csv')).toEqual({ uuid: 'u-1', remaining: 48 })
    expect(fetchMock.mock.calls[0]?.[0]).toBe('/api/admin/invitations?approve_status=applying&export_format=csv')
  })

  it('does without the number of what is left', async () => {
    answer({ code: 0, data: { uuid: 'u-1' } }, { 'RateLimit-Remaining': 'many' })
    expect((await queueExport('A', '/api/x', {}, 'xlsx')).remaining).toBeNull()
  })

  it('passes on the daily limit as the server words it', async () => {
    const remark = '该用户已经超过当日导出最大次数50,当前任务不允许执行'
    answer({ code: -1, message: 'failure', remark, error: 'standard_error' }, { 'Retry-After': '3600' })
    await expect(queueExport('A', '/api/x', {}, 'xlsx')).rejects.toMatchObject({ kind: 'failed', message: remark, retryAfter: 3600 })
  })
})

describe('fetchExport', () => {
  it('reads the record', async () => {
    answer({ uuid: 'u-1', status: 'queued', progress: 0, event: null })
    expect(await fetchExport('u-1')).toMatchObject({ uuid: 'u-1', status: 'queued' })
    expect(fetchMock.mock.calls[0]?.[0]).toBe('/api/exports/u-1')
  })

  it('takes nothing for a record that is none', async () => {
    answer({ hello: 'world' })
    await expect(fetchExport('u-1')).rejects.toMatchObject({ kind: 'server' })
  })
})

describe('jobOfLocation', () => {
  it.each([
    ['/api/exports/0e65-a', '0e65-a'],
    ['https://admin.example.com/api/exports/0e65-a?x=1', '0e65-a'],
    ['/api/exports/', null],
    ['/export/1_a.xlsx', null],
    [null, null],
  ])('%o', (location, uuid) => expect(jobOfLocation(location)).toBe(uuid))
})
