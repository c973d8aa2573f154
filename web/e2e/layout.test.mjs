// What windows of several widths show, and whose page it is.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { base, byId, fillLogin, launch, open, people, withPage } from './support/browser.mjs'

let browser

before(async () => {
  browser = await launch()
})

after(() => browser?.close())

const heading = (page, text) => page.locator('.el-table__header th', { hasText: text }).first()

test('at a usual width the contacts show when they were made and who they are', () =>
  withPage(browser, async (page) => {
    await open(page, people.staff, '/contacts')
    const table = await byId(page, 'list-table').boundingBox()
    const actions = await heading(page, '操作').boundingBox()
    for (const text of ['姓名', '创建时间']) {
      const box = await heading(page, text).boundingBox()
      assert.ok(box.x >= table.x && box.x + box.width <= actions.x, `${text} at ${box.x}+${box.width}, the actions from ${actions.x}`)
    }
    const created = await page.locator('.el-table__body tr').first().locator('td').nth(1).locator('.cell').evaluate(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)
    assert.ok(created, 'the time is cut')
    const name = await heading(page, '姓名').boundingBox()
    assert.ok(name.width >= 24 + 8 * 14, `room for a name: ${name.width}`)
  }))

test('what can be done with a message stands in one line', () =>
  withPage(browser, async (page) => {
    const api = await client(people.admin)
    const { body } = await api.get('/api/admin/exhibitions', { per_page: 1 })
    const phone = `136${String(Date.now()).slice(-8)}`
    await api.send('POST', '/api/admin/invitations', { exhibition_id: body.data.models[0].id, user_phone: phone, recommend_user_phone: '13800000400' })
    await open(page, people.admin, '/messages')
    const row = page.locator('tr', { hasText: phone }).first()
    const read = await row.locator('[data-testid="message-read"]').boundingBox()
    const handle = await row.locator('[data-testid="message-handle"]').boundingBox()
    assert.equal(read.y, handle.y)
    const cell = await row.locator('td').last().boundingBox()
    assert.ok(handle.x + handle.width <= cell.x + cell.width, `${handle.x + handle.width} beyond ${cell.x + cell.width}`)
  }))

test('a narrow window keeps its room for the list; the menu comes when it is asked for', () =>
  withPage(browser, async (page) => {
    await page.setViewportSize({ width: 390, height: 844 })
    await open(page, people.staff, '/contacts')
    assert.equal(await byId(page, 'side-menu').count(), 0)
    assert.equal(await page.locator('.el-table .el-table-fixed-column--right, .el-table .el-table-fixed-column--left').count(), 0)
    const main = await page.locator('.main').evaluate(({ scrollWidth, clientWidth }) => ({ scrollWidth, clientWidth }))
    assert.ok(main.scrollWidth <= main.clientWidth, JSON.stringify(main))
    assert.equal(main.clientWidth, 390)
    await byId(page, 'user-menu').click({ trial: true })
    await byId(page, 'menu-toggle').click()
    await byId(page, 'side-menu').getByText('邀请记录').click()
    await page.waitForURL('**/invitations')
    await byId(page, 'side-menu').waitFor({ state: 'hidden' })

    await page.setViewportSize({ width: 1024, height: 700 })
    await byId(page, 'side-menu').waitFor()
    assert.equal(await byId(page, 'menu-toggle').count(), 0)
  }))

test('a tab whose session another tab gave to somebody else begins anew', () =>
  withPage(browser, async (page, context) => {
    await page.clock.install()
    await open(page, people.admin)
    await context.request.post(`${base}/api/user/login`, { data: { phoneNumber: people.staff.account, password: people.staff.password } })
    assert.equal(await byId(page, 'user-name').innerText(), '演示管理员')
    await page.clock.fastForward('03:00:00')
    await page.waitForFunction(() => document.querySelector('[data-testid="user-name"]')?.textContent !== '演示管理员')
    await byId(page, 'list-total').waitFor()
  }))

test('a person who logs in after another sees nothing of theirs before the answer', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin)
    await page.locator('[data-testid="message-badge"]:not([data-count="0"])').waitFor()
    await byId(page, 'user-menu').click()
    await byId(page, 'logout').click()
    await byId(page, 'login-account').waitFor()
    assert.equal(await byId(page, 'login-account').inputValue(), '')
    await page.route('**/admin/message/**', () => undefined) // no answer
    await page.routeWebSocket(/faye/, () => undefined) // nor a push
    await fillLogin(page, people.correspondent)
    await byId(page, 'message-badge').waitFor()
    assert.equal(await byId(page, 'message-badge').getAttribute('data-count'), '0')
  }))

// A visitor is no error: nothing may stand in the console before anything was done.
test('a first visit leaves nothing in the console', () =>
  withPage(browser, async (page) => {
    const said = []
    page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`))
    page.on('response', (response) => response.status() >= 400 && said.push(`${response.status()} ${response.url()}`))
    for (const path of ['/', '/invitations', '/login']) {
      await page.goto(base + path)
      await byId(page, 'login-account').waitFor()
      await page.waitForLoadState('networkidle')
    }
    await page.goto(`${base}/api/docs`)
    await page.waitForLoadState('networkidle')
    assert.deepEqual(said, [])
  }))
