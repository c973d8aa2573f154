// Five hundred invitations rejected at once: the bar of who decides, the badges of the inviters and of another window.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { base, byId, launch, open, patience, people, withPage } from './support/browser.mjs'

const many = 500
const each = 3
/** The people who are linked to inviters, with the inviters' phones. */
const inviters = [people.staff, people.correspondent]

let browser
let admin

before(async () => {
  admin = await client(people.admin)
  browser = await launch()
  // The demo leaves a few hundred undecided: some more make five hundred.
  await invite('13877770000', (Date.now() % 1e5) * 1000, 400)
})

after(() => browser?.close())

/** Makes some invitations of one inviter: the newest, so that they stand on the first page. */
async function invite(recommended, from, count = each) {
  const { body } = await admin.get('/api/admin/exhibitions', { per_page: 1 })
  for (let i = 0; i < count; i++) {
    const answer = await admin.send('POST', '/api/admin/invitations', {
      exhibition_id: body.data.models[0].id,
      user_phone: `136${String(from + i).padStart(8, '0')}`,
      recommend_user_phone: recommended,
    })
    assert.equal(answer.body.code, 0, JSON.stringify(answer.body))
  }
}

/** A person's page with a live badge; what the badge shows. */
async function watchBadge(page, person, path) {
  await open(page, person, path)
  await page.locator('[data-testid="message-badge"][data-line="live"]').waitFor()
  const { body } = await (await client(person)).get('/admin/message/unread')
  await page.locator(`[data-testid="message-badge"][data-count="${body.data.unreadMum}"]`).waitFor()
  return body.data.unreadMum
}

const badgeAbove = (page, count) =>
  page.waitForFunction((before) => Number(document.querySelector('[data-testid="message-badge"]').dataset.count) > before, count)

/** From now on the page notes every number that a bar shows. */
const recordBars = (page) =>
  page.evaluate(() => {
    const shown = (window.shownBars = [])
    const look = () => {
      for (const { dataset } of document.querySelectorAll('[data-testid="bulk-bar"]')) {
        const done = Number(dataset.done)
        if (shown.at(-1) !== done) shown.push(done)
      }
    }
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true })
  })

test('five hundred are rejected under a moving bar; each linked inviter gets one message, on a badge that rises', () =>
  withPage(browser, (page, context) =>
    withPage(browser, (first) =>
      withPage(browser, async (second) => {
        for (const [i, { account }] of inviters.entries()) await invite(account, (Date.now() % 1e7) * 10 + i * each)
        const before = [await watchBadge(first, inviters[0], '/contacts'), await watchBadge(second, inviters[1], '/messages')]

        await open(page, people.admin, `/invitations?approve_status=applying&per_page=${many}`)
        const total = Number(await byId(page, 'list-total').getAttribute('data-total'))
        const window = await context.newPage()
        await window.goto(`${base}/messages?list=waitHandle`)
        const waiting = byId(window, 'message-tab-waitHandle')
        await window.locator('[data-testid="message-badge"][data-line="live"]').waitFor()
        await byId(window, 'list-total').waitFor()
        const waited = Number(await waiting.getAttribute('data-count'))
        assert.ok(waited >= inviters.length * each, `${waited} wait`)

        await page.locator('.el-table__header .el-table-column--selection .el-checkbox').first().click()
        await page.locator(`[data-testid="ticked"][data-count="${many}"]`).waitFor()
        await recordBars(page)
        const reason = `名额已满 ${Date.now()}`
        await byId(page, 'bulk-reject').click()
        await byId(page, 'decision-reason').fill(reason)
        await byId(page, 'decision-confirm').click()
        await page.locator(`[data-testid="bulk-bar"][data-state="done"][data-done="${many}"][data-total="${many}"]`).waitFor({ timeout: 2 * patience })
        const shown = await page.evaluate(() => window.shownBars)
        assert.deepEqual(shown, shown.toSorted((a, b) => a - b), 'the bar goes back')
        assert.ok(shown.some((done) => done > 0 && done < many), `the bar jumped: ${shown}`)
        await page.locator(`[data-testid="list-total"][data-total="${total - many}"]`).waitFor()

        for (const [i, inviter] of [first, second].entries()) {
          await badgeAbove(inviter, before[i])
          const { body } = await (await client(inviters[i])).get('/admin/message/unread', { plugin: 'invitation', notice_type: '4' })
          const received = body.data.data.filter((message) => message.message_body.content.includes(reason))
          assert.equal(received.length, 1, JSON.stringify(received))
          assert.equal(received[0].message_body.head, '您的邀请已被拒绝')
        }
        // The other window of who decided counts down what has been decided, without a reload.
        await window.waitForFunction(
          (most) => Number(document.querySelector('[data-testid="message-tab-waitHandle"]').dataset.count) <= most,
          waited - inviters.length * each,
        )
        await byId(first, 'message-badge').click()
        await first.locator('tr', { hasText: reason }).first().waitFor()
      }),
    ),
  ))
