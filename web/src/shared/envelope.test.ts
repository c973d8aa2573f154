import { describe, expect, it } from 'vitest'
import { retryAfter, unwrap, type Envelope } from './envelope'
import { ApiError, errorHint, errorTitle, waitText } from './errors'

function refusalOf(envelope: Envelope, status: number, body: unknown, headers: Record<string, string> = {}): ApiError {
  try {
    unwrap(envelope, { status, body, headers: new Headers(headers) })
  } catch (error) {
    if (error instanceof ApiError) return error
    throw error
  }
  throw new Error(`envelope ${envelope}, status ${status}: no error`)
}

describe('unwrap', () => {
  it.each([
    ['A', { code: 0, message: 'success', remark: '成功', data: { models: [] } }, { models: [] }],
    ['B', { status: 0, data: { id: 1 } }, { id: 1 }],
    ['B', { status: 0, msg: '登陆成功' }, { status: 0, msg: '登陆成功' }],
    ['C', { status: 0, data: { token: 't' } }, { token: 't' }],
    ['D', { code: 200, msg: 'success', data: null }, null],
    ['E', { result: 1, msg: 'list', data: { total: 0 } }, { total: 0 }],
    ['native', { uuid: 'u' }, { uuid: 'u' }],
  ] as const)('takes the data out of %s', (envelope, body, data) => {
    expect(unwrap(envelope, { status: 200, body, headers: new Headers() })).toEqual(data)
  })

  const noPermission = '你没有应用导出的权限'
  it.each([
    ['A', 200, { code: -1, message: 'failure', remark: '当前用户已经有导出任务排队或执行,请稍后再试', error: 'standard_error' }, 'failed', '当前用户已经有导出任务排队或执行,请稍后再试'],
    ['A', 200, { code: 401, message: noPermission, remark: noPermission, error: 'errors/unauthorized_error' }, 'forbidden', noPermission],
    ['A', 200, { code: 404, message: 'failure', remark: '记录不存在', error: 'standard_error' }, 'notFound', '记录不存在'],
    ['A', 401, { code: 401, message: 'failure', remark: '请先登录', error: 'errors/unauthenticated_error' }, 'unauthenticated', '请先登录'],
    ['A', 503, { code: -1, message: 'failure', remark: '数据库暂时不可用' }, 'unavailable', '数据库暂时不可用'],
    ['B', 200, { status: 1, msg: '账号或密码错误' }, 'failed', '账号或密码错误'],
    ['B', 401, { status: 1, msg: '请先登录' }, 'unauthenticated', '请先登录'],
    ['C', 400, { status: 3, error: '参数错误', errors: { page: '必须是数字' } }, 'invalid', '参数错误'],
    ['C', 403, { status: 2, error: '没有权限' }, 'forbidden', '没有权限'],
    ['E', 200, { result: 0, msg: '消息不存在', data: [] }, 'failed', '消息不存在'],
    ['E', 401, { result: 0, msg: '请先登录', data: [] }, 'unauthenticated', '请先登录'],
    ['D', 409, { code: 409, msg: '已有任务' }, 'conflict', '已有任务'],
    ['D', 200, { code: 429, msg: '已达上限' }, 'rateLimited', '已达上限'],
    ['native', 422, { type: 'about:blank', title: 'Unprocessable', detail: '筛选条件有误' }, 'invalid', '筛选条件有误'],
    ['native', 410, { title: 'Gone', detail: '文件已过期' }, 'notFound', '文件已过期'],
    ['native', 413, undefined, 'tooLarge', '提交的内容过大'],
    ['A', 502, undefined, 'server', '服务器出错了，请稍后再试'],
    ['A', 200, undefined, 'server', '服务器出错了，请稍后再试'],
    ['B', 200, [], 'server', '服务器出错了，请稍后再试'],
    ['A', 204, undefined, 'server', '服务器出错了，请稍后再试'],
    ['native', 304, undefined, 'server', '服务器出错了，请稍后再试'],
  ] as const)('%s %i %o is %s', (envelope, status, body, kind, message) => {
    const error = refusalOf(envelope, status, body)
    expect([error.kind, error.message, error.status]).toEqual([kind, message, status])
  })

  it('keeps what helps to act on an error', () => {
    const error = refusalOf(
      'A',
      200,
      { code: -1, message: 'failure', remark: '参数错误', error: 'errors/parameter_error', errors: { page: ['太小', '不是数字'], x: 1 } },
      { 'Retry-After': '90', Location: '/api/exports/u-1', 'X-Request-Id': 'r-1' },
    )
    expect(error).toMatchObject({ kind: 'invalid', code: -1, fields: { page: '太小，不是数字', x: '1' }, retryAfter: 90, location: '/api/exports/u-1', requestId: 'r-1' })
    expect(errorHint(error)).toBe('页码:太小，不是数字;x:1;请在 2 分钟后再试')
  })

  it('names a field once, by its label', () => {
    const labels = { user_phone: '被邀请人手机号' }
    const error = refusalOf('A', 200, { code: -1, remark: 'user_phone 最多 32 个字符;page 应为整数', errors: { user_phone: '最多 32 个字符', page: '应为整数' } })
    expect([errorTitle(error, labels), errorHint(error, labels)]).toEqual(['被邀请人手机号 最多 32 个字符;页码 应为整数', ''])
    const sentence = refusalOf('A', 200, { code: -1, remark: '参数错误', errors: { user_phone: '最多 32 个字符' } })
    expect([errorTitle(sentence, labels), errorHint(sentence, labels)]).toEqual(['参数错误', '被邀请人手机号:最多 32 个字符'])
  })

  it('reads the fields of a problem document', () => {
    const body = { title: 'Unprocessable', detail: 'a 太长', errors: [{ field: 'a', reason: '太长' }, { field: 'a', reason: '不是数字' }, null] }
    expect(refusalOf('native', 422, { ...body, errors: body.errors.slice(0, 2) }).fields).toEqual({ a: '太长，不是数字' })
  })

  it('shows a request id where support needs it', () => {
    expect(errorHint(refusalOf('A', 500, undefined, { 'X-Request-Id': 'r-2' }))).toBe('请求编号 r-2')
    expect(errorHint(refusalOf('B', 200, { status: 1, msg: 'x' }, { 'X-Request-Id': 'r-2' }))).toBe('')
  })
})

describe('retryAfter', () => {
  const now = Date.parse('2026-01-02T00:00:00Z')
  it.each([
    [null, null],
    ['', null],
    ['soon', null],
    ['30', 30],
    ['-4', 0],
    ['Fri, 02 Jan 2026 00:01:00 GMT', 60],
    ['Thu, 01 Jan 2026 00:00:00 GMT', 0],
  ])('reads %o as %o', (value, seconds) => expect(retryAfter(value, now)).toBe(seconds))
})

describe('waitText', () => {
  it.each([
    [0.2, '1 秒'],
    [59.5, '60 秒'],
    [61, '2 分钟'],
    [7300, '3 小时'],
  ])('%d seconds', (seconds, text) => expect(waitText(seconds)).toBe(text))
})
