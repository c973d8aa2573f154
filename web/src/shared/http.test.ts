import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError, isAbort } from './errors'
import { onUnauthenticated, queryString, request } from './http'

const fetchMock = vi.fn<typeof fetch>()

beforeEach(() => {
  fetchMock.mockReset()
  vi.stubGlobal('fetch', fetchMock)
})
afterEach(() => vi.unstubAllGlobals())

function answer(status: number, body: string, headers: Record<string, string> = {}): void {
  fetchMock.mockResolvedValueOnce(new Response(body, { status, headers }))
}

describe('request', () => {
  it('sends the cookie, the query and JSON', async () => {
    answer(200, '{"status":0,"data":{"id":7}}', { 'X-Total-Estimated': '1' })
    const reply = await request<{ id: number }>('B', '/api/x', { method: 'POST', query: { page: 2, name: '', gone: null, ok: false }, body: { a: '值' } })
    expect(reply.data.id).toBe(7)
    expect(reply.headers.get('X-Total-Estimated')).toBe('1')
    const [url, init] = fetchMock.mock.calls[0] ?? []
    expect(url).toBe('/api/x?page=2&ok=false')
    expect(init).toMatchObject({ method: 'POST', credentials: 'same-origin', body: '{"a":"值"}' })
    expect(init?.headers).toMatchObject({ 'Content-Type': 'application/json' })
  })

  it('sends a file as it is, with more headers', async () => {
    answer(200, '{"code":200,"data":1}')
    const file = new Blob(['{"a":1}\n'])
    await request('D', '/api/x', { method: 'POST', body: file, headers: { 'If-Match': '"3"' } })
    const init = fetchMock.mock.calls[0]?.[1]
    expect(init?.body).toBe(file)
    expect(init?.headers).toEqual({ Accept: 'application/json', 'Content-Type': 'application/x-ndjson', 'If-Match': '"3"' })
  })

  it('sends no content type without a body', async () => {
    answer(200, '{"code":0,"data":1}')
    await request('A', '/api/x')
    expect(fetchMock.mock.calls[0]?.[1]?.headers).toEqual({ Accept: 'application/json' })
  })

  it('announces the end of the session, once per answer', async () => {
    const ended = vi.fn()
    const stop = onUnauthenticated(ended)
    answer(401, '{"code":401,"remark":"请先登录"}')
    await expect(request('A', '/api/x')).rejects.toMatchObject({ kind: 'unauthenticated', message: '请先登录' })
    expect(ended).toHaveBeenCalledTimes(1)

    answer(401, '{}')
    await expect(request('A', '/api/x', { quietUnauthenticated: true })).rejects.toMatchObject({ kind: 'unauthenticated' })
    answer(200, '{"code":401,"message":"你没有应用导出的权限","remark":"你没有应用导出的权限"}')
    await expect(request('A', '/api/x')).rejects.toMatchObject({ kind: 'forbidden' })
    expect(ended, 'a missing permission is no dead session').toHaveBeenCalledTimes(1)

    stop()
    answer(401, '{}')
    await expect(request('A', '/api/x')).rejects.toBeInstanceOf(ApiError)
    expect(ended).toHaveBeenCalledTimes(1)
  })

  it('makes a proxy page an error by its status', async () => {
    answer(502, '<html>Bad Gateway</html>')
    await expect(request('A', '/api/x')).rejects.toMatchObject({ kind: 'server', status: 502 })
  })

  it('makes HTML in place of JSON an error', async () => {
    answer(200, '<!doctype html>')
    await expect(request('A', '/api/x')).rejects.toMatchObject({ kind: 'server', status: 200 })
  })

  it('says when there is no answer at all', async () => {
    fetchMock.mockRejectedValueOnce(new TypeError('Failed to fetch'))
    await expect(request('A', '/api/x')).rejects.toMatchObject({ kind: 'network', status: 0, message: '无法连接服务器，请检查网络后再试' })
  })

  it('passes on that the caller gave up', async () => {
    const controller = new AbortController()
    controller.abort()
    fetchMock.mockRejectedValueOnce(new DOMException('aborted', 'AbortError'))
    const failure: unknown = await request('A', '/api/x', { signal: controller.signal }).catch((cause: unknown) => cause)
    expect(isAbort(failure)).toBe(true)
  })
})

describe('queryString', () => {
  it('leaves empty values out and escapes the rest', () => {
    expect(queryString()).toBe('')
    expect(queryString({ a: '', b: undefined, c: null })).toBe('')
    expect(queryString({ a: 'x&y', b: 0, c: '中' })).toBe('?a=x%26y&b=0&c=%E4%B8%AD')
  })
})
