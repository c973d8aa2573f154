// A person in a browser: logs in, filters, exports, watches, downloads; and everything that is refused on the way.
// BASE_URL names the running server, which must have its demo people and rows.
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { client, texts } from './support/api.mjs'
import {
  base,
  byId,
  download,
  exportPatience,
  fillLogin,
  filterByStatus,
  jobCard,
  launch,
  open,
  openPanel,
  people,
  pressExport,
  recordStages,
  shownStages,
  totalOtherThan,
  withPage,
} from './support/browser.mjs'
import { cellsOf, columns, readWorkbook } from './support/workbook.mjs'

const stageOrder = ['queued', 'starting', 'start', 'writing_file', 'before_upload', 'uploading', 'success']

let browser
let folder
let admin
let labels

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exporthub-e2e-'))
  admin = await client(people.admin)
  const { body } = await admin.get('/api/dictionaries')
  labels = Object.fromEntries(body.data.approve_status.map(({ value, label }) => [value, label]))
  browser = await launch()
})

after(async () => {
  await browser?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

test('a wrong password is refused in words', () =>
  withPage(browser, async (page) => {
    await page.goto(`${base}/`)
    await fillLogin(page, { account: 'admin', password: 'not the password' })
    await byId(page, 'error-message').waitFor()
    assert.ok((await byId(page, 'error-message').innerText()).trim().length > 0)
    assert.equal(new URL(page.url()).pathname, '/login')
    await fillLogin(page, people.admin)
    await byId(page, 'list-total').waitFor()
  }))

test('filter, export, watch, download: the file holds what the list shows', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin)
    const everything = await byId(page, 'list-total').getAttribute('data-total')
    await filterByStatus(page, 'applying')
    const total = Number(await totalOtherThan(page, everything))
    assert.ok(total > 0 && total < Number(everything), `${total} of ${everything} rows are applying`)

    await recordStages(page)
    const { body, uuid } = await pressExport(page)
    assert.equal(body.remark, texts.queued)
    const path = join(folder, 'filtered.xlsx')
    const name = await download(page, uuid, path)
    assert.match(name, /\.xlsx$/)

    checkStages(await shownStages(page, uuid))
    assert.equal(await jobCard(page, uuid).locator('[data-testid="export-status"]').innerText(), '导出完成')
    assert.equal(await jobCard(page, uuid).locator('[data-testid="export-percent"]').innerText(), '100%')
    await checkWorkbook(path, { approve_status: 'applying' }, total)
  }))

/** What the page showed went through the stages in order, and up. */
function checkStages(stages) {
  const shown = stages.map(({ status, percent }) => `${status} ${percent}`).join(', ')
  for (const [i, stage] of stages.entries()) {
    assert.ok(stageOrder.includes(stage.status), `unexpected stage in: ${shown}`)
    assert.match(stage.label, /[\u4e00-\u9fff]/)
    const last = stages[i - 1]
    if (last === undefined || last.attempt < stage.attempt) continue
    assert.ok(stageOrder.indexOf(stage.status) >= stageOrder.indexOf(last.status), `stages went back: ${shown}`)
    assert.ok(stage.percent >= last.percent, `percentage went back: ${shown}`)
  }
  assert.deepEqual([stages.at(-1).status, stages.at(-1).percent], ['success', 100])
  assert.ok(stages.some(({ percent }) => percent > 0 && percent < 100), `nothing was shown on the way: ${shown}`)
}

async function checkWorkbook(path, filters, total) {
  const first = await admin.invitations({ ...filters, per_page: 50 })
  const last = await admin.invitations({ ...filters, per_page: 50, page: first.total_pages })
  assert.equal(first.total_count, total)
  const book = await readWorkbook(path)
  assert.deepEqual(book.header, columns)
  assert.equal(book.rows.length, total)
  const expected = (rows) => rows.map((row) => cellsOf(row, labels))
  assert.deepEqual(book.rows.slice(0, first.models.length), expected(first.models))
  assert.deepEqual(book.rows.slice(-last.models.length), expected(last.models))
}

test('CSV is one press away', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin, '/invitations?approve_status=rejected')
    const total = Number(await byId(page, 'list-total').getAttribute('data-total'))
    await byId(page, 'export-format-csv').click()
    const { body, uuid } = await pressExport(page)
    assert.equal(body.remark, texts.queued)
    const path = join(folder, 'rejected.csv')
    assert.match(await download(page, uuid, path), /\.csv$/)
    const lines = (await readFile(path, 'utf8')).replace(/^\ufeff/, '').trimEnd().split(/\r?\n/)
    assert.equal(lines[0].replaceAll('"', ''), columns.join(','))
    assert.equal(lines.length - 1, total)
  }))

test('a reload keeps the filter and the finished export', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin)
    const everything = await byId(page, 'list-total').getAttribute('data-total')
    await filterByStatus(page, 'approved')
    const total = await totalOtherThan(page, everything)
    const { uuid } = await pressExport(page)
    await jobCard(page, uuid).locator('[data-testid="export-download"]').waitFor({ timeout: exportPatience })

    await page.reload()
    assert.equal(await totalOtherThan(page, everything), total)
    assert.equal(new URL(page.url()).searchParams.get('approve_status'), 'approved')
    assert.match(await byId(page, 'filter-approve_status').innerText(), new RegExp(labels.approved))
    await openPanel(page)
    await jobCard(page, uuid).locator('[data-testid="export-download"]').waitFor()
  }))

test('a second export is refused in the literal words, and the one in the way is shown', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin)
    // The page's request is held until another one of the same person, of all rows, has been accepted.
    let inTheWay
    await page.route(/export_format=/, async (route) => {
      let response
      // An export takes a moment only: when it has ended before the page's request came, once more.
      for (let attempt = 0; attempt < 10; attempt++) {
        inTheWay = await admin.queue()
        response = await route.fetch()
        const answer = await response.json()
        if (answer.code !== 0) break // admin.queue waits for the end of this one
      }
      await route.fulfill({ response })
    })
    const { body } = await pressExport(page)
    assert.equal(body.code, -1)
    assert.equal(body.remark, texts.queueLimit)
    const message = byId(page, 'error-message')
    await message.waitFor()
    assert.ok((await message.innerText()).includes(texts.queueLimit))
    await jobCard(page, inTheWay).locator('[data-testid="export-download"]').waitFor({ timeout: exportPatience })
  }))

test('a dead line for pushed events hides neither the progress nor the end', () =>
  withPage(browser, async (page) => {
    await page.routeWebSocket(/\/faye/, (socket) => socket.close())
    await page.route(/\/faye/, (route) => route.abort())
    await open(page, people.admin, '/invitations?approve_status=applying')
    const { body, uuid } = await pressExport(page)
    assert.equal(body.remark, texts.queued)
    await jobCard(page, uuid).locator('[data-testid="export-download"]').waitFor({ timeout: exportPatience })
    assert.notEqual(await byId(page, 'export-panel').getAttribute('data-line'), 'live')
  }))

test('who may not export sees the list, and why', () =>
  withPage(browser, async (page) => {
    await open(page, people.correspondent)
    assert.ok(Number(await byId(page, 'list-total').getAttribute('data-total')) > 0)
    assert.equal(await byId(page, 'export-button').isDisabled(), true)
    await byId(page, 'export-tooltip').hover()
    await page.getByText(texts.noPermission).waitFor()

    const answer = await (await client(people.correspondent)).get('/api/admin/invitations', { export_format: 'xlsx' })
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.body, { code: 401, message: texts.noPermission, remark: texts.noPermission, error: 'errors/unauthorized_error' })

    // A page that believes otherwise shows the server's own answer.
    await page.route('**/api/user/session', async (route) => {
      const response = await route.fetch()
      const body = await response.json()
      body.data.user.permissions.push('invitation.export')
      await route.fulfill({ response, json: body })
    })
    await page.reload()
    await byId(page, 'list-total').waitFor()
    await pressExport(page)
    await byId(page, 'error-message').waitFor()
    assert.ok((await byId(page, 'error-message').innerText()).includes(texts.noPermission))
    assert.equal(new URL(page.url()).pathname, '/invitations')
  }))

test('an ended session leads to the login page, and back to the same list', () =>
  withPage(browser, async (page, context) => {
    await open(page, people.admin, '/invitations?approve_status=approved')
    await context.clearCookies()
    // Whatever asks next is led away: this press, unless the page itself was quicker.
    await page.evaluate(() => document.querySelector('[data-testid="filter-submit"]')?.click())
    await byId(page, 'login-account').waitFor()
    await fillLogin(page, people.admin)
    await byId(page, 'list-total').waitFor()
    const url = new URL(page.url())
    assert.deepEqual([url.pathname, url.searchParams.get('approve_status')], ['/invitations', 'approved'])
  }))

test('logout ends the session', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin)
    await byId(page, 'user-menu').click()
    await byId(page, 'logout').click()
    await byId(page, 'login-account').waitFor()
    await page.goto(`${base}/invitations`)
    await byId(page, 'login-account').waitFor()
  }))
