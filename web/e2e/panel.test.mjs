// The list of exports shares the window with the page: nothing it shows may hide what a person wants to press.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { base, byId, exportPatience, jobCard, launch, open, openPanel, people, pressExport, withPage } from './support/browser.mjs'

const sizes = [
  { width: 1440, height: 900 },
  { width: 1280, height: 720 },
  { width: 1024, height: 700 },
]

let browser

before(async () => {
  browser = await launch()
})

after(() => browser?.close())

/** The controls of the page that can't be pressed where they are, even after scrolling to them. */
function covered(page) {
  return page.evaluate(() => {
    const controls = document.querySelectorAll('.main button, .main input, .main .el-pagination li, .main .el-select, header button, header a, [data-testid="export-panel"] button')
    const hidden = []
    for (const control of controls) {
      if (control.offsetParent === null || control.disabled || control.type === 'radio') continue
      control.scrollIntoView({ block: 'nearest', inline: 'nearest' })
      const { left, top, width, height } = control.getBoundingClientRect()
      const hit = document.elementFromPoint(left + width / 2, top + height / 2)
      const own = control.closest('.el-select, .el-input, .el-date-editor, .el-checkbox') ?? control
      if (hit === null || !(own.contains(hit) || hit.contains(control))) {
        hidden.push(`${control.tagName} ${control.textContent.trim() || control.className} under ${hit?.className}`)
      }
    }
    return { hidden, seen: controls.length }
  })
}

test('open or folded, the list of exports covers no control, and stays dismissed', () =>
  withPage(browser, async (page) => {
    await open(page, people.admin, '/invitations?approve_status=rejected')
    await byId(page, 'export-format-csv').click()
    const { uuid } = await pressExport(page)
    const card = jobCard(page, uuid)
    await card.locator('[data-testid="export-download"]').waitFor({ timeout: exportPatience })
    assert.equal(await card.locator('[data-testid="export-job-format"]').innerText(), 'CSV')
    assert.match(await card.locator('[data-testid="export-facts"]').innerText(), /\d\d-\d\d \d\d:\d\d:\d\d 提交[^]*共 [\d,]+ 行/)

    await page.waitForFunction(() => document.querySelector('.el-message') === null) // it goes by itself
    for (const size of sizes) {
      await page.setViewportSize(size)
      await openPanel(page)
      for (const state of ['open', 'folded']) {
        if (state === 'folded') await byId(page, 'export-fold').click()
        const { hidden, seen } = await covered(page)
        assert.ok(seen > 15, `only ${seen} controls were looked at`)
        assert.deepEqual(hidden, [], `at ${size.width}x${size.height}, ${state}`)
      }
    }

    await openPanel(page)
    await card.locator('[data-testid="export-dismiss"]').click()
    await page.reload()
    await byId(page, 'list-total').waitFor()
    assert.equal(await card.count(), 0)
  }))

test('an error names a filter once, as the form does', () =>
  withPage(browser, async (page) => {
    await page.goto(`${base}/login?redirect=${encodeURIComponent(`/invitations?user_phone=${'1'.repeat(70)}`)}`)
    await byId(page, 'login-account').fill(people.admin.account)
    await byId(page, 'login-password').fill(people.admin.password)
    await byId(page, 'login-submit').click()
    const message = await byId(page, 'error-message').innerText()
    assert.ok(!message.includes('user_phone'), message)
    assert.equal(message.split('被邀请人手机号').length, 2, message)
  }))
