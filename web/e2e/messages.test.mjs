// A person's messages: the badge that counts them as they come, the lists, and what can be done with them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { byId, launch, open, people, withPage } from './support/browser.mjs'

let browser
let admin

before(async () => {
  admin = await client(people.admin)
  browser = await launch()
})

after(() => browser?.close())

const badge = (page) => byId(page, 'message-badge')
const badgeShows = (page, count) => page.locator(`[data-testid="message-badge"][data-count="${count}"]`).waitFor()

/** Something happens for which the administrator gets one message: an invitation waits for a decision. */
async function invite() {
  const { body } = await admin.get('/api/admin/exhibitions', { per_page: 1 })
  const phone = `137${String(Date.now()).slice(-8)}`
  const answer = await admin.send('POST', '/api/admin/invitations', {
    exhibition_id: body.data.models[0].id,
    user_phone: phone,
    recommend_user_phone: '13800000400',
  })
  assert.equal(answer.body.code, 0, JSON.stringify(answer.body))
  return phone
}

test('the badge counts what is pushed, on any page; reading and handling count down', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin)
    await page.locator('[data-testid="message-badge"][data-line="live"]').waitFor()
    const { body } = await admin.get('/admin/message/unread')
    await badgeShows(page, body.data.unreadMum)
    const phone = await invite()
    // At least one more: an export that another test ended may write its message meanwhile.
    await page.waitForFunction((before) => Number(document.querySelector('[data-testid="message-badge"]').dataset.count) > before, body.data.unreadMum)

    await badge(page).click()
    await page.locator('tr', { hasText: phone }).first().waitFor()
    await page.locator('tr', { hasText: phone }).locator('[data-testid="message-read"]').first().click()
    await page.locator('tr', { hasText: phone }).first().waitFor({ state: 'detached' })
    await badgeShows(page, (await admin.get('/admin/message/unread')).body.data.unreadMum)

    await byId(page, 'message-tab-waitHandle').click()
    await page.waitForURL((url) => url.searchParams.get('list') === 'waitHandle')
    await page.locator('tr', { hasText: phone }).locator('[data-testid="message-handle"]').first().click()
    await page.locator('tr', { hasText: phone }).first().waitFor({ state: 'detached' })
  }))

test('the lists stand in the address, with their filters', () =>
  withPage(browser, async (page) => {
    await open(page, people.staff, '/messages?list=read&notice_type=4')
    const api = await client(people.staff)
    const { body } = await api.get('/admin/message/read', { notice_type: '4' })
    assert.ok(body.data.total > 0)
    assert.equal(Number(await byId(page, 'list-total').getAttribute('data-total')), body.data.total)
    await page.getByText(body.data.data[0].message_body.head).first().waitFor()
  }))

test('all is read at once', () =>
  withPage(browser, async (page) => {
    await open(page, people.correspondent, '/messages')
    await byId(page, 'message-read-all').click()
    await badgeShows(page, 0)
    await byId(page, 'list-empty').waitFor()
    assert.equal(await byId(page, 'message-read-all').isDisabled(), true)
    assert.equal(await byId(page, 'export-button').isDisabled(), true) // a correspondent may not export
  }))
