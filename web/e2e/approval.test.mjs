// Decisions about invitations, one and many, as the person who decides sees them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { byId, launch, open, patience, people, withPage } from './support/browser.mjs'

const alreadyDecided = '该邀请已审批,请勿重复操作'

let browser
let admin

before(async () => {
  admin = await client(people.admin)
  browser = await launch()
})

after(() => browser?.close())

const rowOf = (page, id) => page.locator(`[data-testid="row-status"][data-id="${id}"]`)
const button = (page, decision, id) => page.locator(`[data-testid="row-${decision}"][data-id="${id}"]`)

/** Fills in the dialog and confirms. */
async function confirm(page, reason) {
  await byId(page, 'decision-reason').fill(reason)
  await byId(page, 'decision-confirm').click()
}

test('one is approved with a reason, and the list shows who decided what and when', () =>
  withPage(browser, async (page) => {
    const { models } = await admin.invitations({ approve_status: 'applying', per_page: 1 })
    const { id, user } = models[0]
    await open(page, people.admin, `/invitations?user_phone=${user.phone}`)
    await button(page, 'approve', id).click()
    await confirm(page, '资料齐全，欢迎参加')
    await page.locator(`[data-testid="row-status"][data-id="${id}"][data-status="approved"]`).waitFor()
    await byId(page, 'decision-dialog').waitFor({ state: 'hidden' })
    const text = await page.locator('tr', { has: rowOf(page, id) }).first().innerText()
    assert.match(text, /资料齐全，欢迎参加/)
    assert.match(text, /演示管理员/)
    assert.match(text, /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/)
    assert.equal(await button(page, 'approve', id).count(), 0)
  }))

test('the second of two deciders gets the literal words, and sees what was decided', () =>
  withPage(browser, async (page) => {
    const { models } = await admin.invitations({ approve_status: 'applying', per_page: 2 })
    const { id, user } = models[1]
    await open(page, people.admin, `/invitations?user_phone=${user.phone}`)
    await button(page, 'reject', id).click()
    const { body } = await admin.send('PUT', `/api/admin/invitations/${id}/approve`, {})
    assert.equal(body.code, 0, JSON.stringify(body))
    await confirm(page, '')
    const message = byId(page, 'decision-dialog').locator('[data-testid="error-message"]')
    await message.waitFor()
    assert.ok((await message.innerText()).includes(alreadyDecided))
    await page.locator(`[data-testid="row-status"][data-id="${id}"][data-status="approved"]`).waitFor({ state: 'attached' })
  }))

test('a page of ticked rows is rejected at once, with a bar to the end', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin, '/invitations?approve_status=applying&per_page=50')
    const before = Number(await byId(page, 'list-total').getAttribute('data-total'))
    await page.locator('.el-table__header .el-table-column--selection .el-checkbox').first().click()
    await page.locator('[data-testid="ticked"][data-count="50"]').waitFor()
    await byId(page, 'bulk-reject').click()
    await confirm(page, '展位已满')
    await page.locator('[data-testid="bulk-bar"][data-state="done"][data-done="50"][data-total="50"]').waitFor({ timeout: 2 * patience })
    await page.locator('[data-testid="ticked"][data-count="0"]').waitFor()
    await page.locator(`[data-testid="list-total"][data-total="${before - 50}"]`).waitFor()
    const { models } = await admin.invitations({ approve_status: 'rejected', per_page: 1 })
    assert.deepEqual([models[0].approve_description, models[0].decided_by.name], ['展位已满', '演示管理员'])
  }))

test('who may not decide has no buttons for it', () =>
  withPage(browser, async (page) => {
    await open(page, people.correspondent, '/invitations?approve_status=applying')
    for (const id of ['row-approve', 'row-reject', 'bulk-approve', 'ticked']) assert.equal(await byId(page, id).count(), 0, id)
  }))
