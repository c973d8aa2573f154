// The server's API as a script uses it: a token in a header, no browser.
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { base, exportPatience } from './browser.mjs'

export const texts = {
  queued: '导出任务已经加入队列,请耐心等待',
  noPermission: '你没有应用导出的权限',
  queueLimit: '当前用户已经有导出任务排队或执行,请稍后再试',
}

const ended = ['success', 'failure', 'cancelled', 'expired']

/** Logs in for a token; the result asks the API with it. */
export async function client({ account, password }) {
  const response = await fetch(`${base}/api/access/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ account, password }),
  })
  const { data } = await response.json()
  assert.ok(data?.token, `no token for ${account}: HTTP ${response.status}`)
  const headers = { 'ACCESS-TOKEN': data.token }
  const get = async (path, query = {}) => {
    const answer = await fetch(`${base}${path}?${new URLSearchParams(query)}`, { headers })
    return { status: answer.status, headers: answer.headers, body: await answer.json() }
  }

  const send = async (method, path, body) => {
    const answer = await fetch(`${base}${path}`, { method, headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    return { status: answer.status, headers: answer.headers, body: await answer.json() }
  }

  async function me() {
    const { body } = await get('/api/user/me')
    assert.equal(body.status, 0)
    return body.data
  }

  /** One page of the invitations that match. */
  async function invitations(filters = {}) {
    const { body } = await get('/api/admin/invitations', filters)
    assert.equal(body.code, 0, JSON.stringify(body))
    return body.data
  }

  async function waitForEnd(uuid) {
    const deadline = Date.now() + exportPatience
    for (;;) {
      const { body } = await get(`/api/exports/${uuid}`)
      if (ended.includes(body.status)) return body
      assert.ok(Date.now() < deadline, `job ${uuid} is still ${body.status}`)
      await pause(100)
    }
  }

  /** Queues an export. One that another test left running is waited for, since a person has one at a time. */
  async function queue(filters = {}, format = 'xlsx') {
    const deadline = Date.now() + exportPatience
    for (;;) {
      const answer = await get('/api/admin/invitations', { ...filters, export_format: format })
      if (answer.body.code === 0) return answer.body.data.uuid
      assert.equal(answer.body.remark, texts.queueLimit)
      assert.ok(Date.now() < deadline, 'the export in the way does not end')
      const inTheWay = answer.headers.get('Location')?.split('/').at(-1)
      assert.ok(inTheWay, 'the refusal does not name the job in the way')
      await waitForEnd(inTheWay)
    }
  }

  return { get, send, me, invitations, queue, waitForEnd }
}
