// The contacts page: search, create, change, import, delete, export.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { base, byId, exportPatience, fillLogin, jobCard, launch, open, people, pressExport, withPage } from './support/browser.mjs'

let browser

before(async () => {
  browser = await launch()
})

after(() => browser?.close())

const rowWith = (page, text) => page.locator('.el-table__body tr', { hasText: text }).first()

async function search(page, text) {
  await byId(page, 'filter-search').locator('input').fill(text)
  await byId(page, 'filter-submit').click()
  await page.waitForURL((url) => url.searchParams.get('search') === text)
}

test('a record is created, found, changed, imported again, exported and deleted', () =>
  withPage(browser, async (page) => {
    const key = `wechat:e2e${Date.now()}`
    await open(page, people.staff, '/contacts')
    await byId(page, 'contact-new').click()
    await byId(page, 'contact-save').click()
    await page.getByText('请填写姓名').waitFor()
    await byId(page, 'contact-name').fill('测试甲')
    await byId(page, 'contact-contact').fill(key)
    await byId(page, 'contact-save').click()
    await byId(page, 'contact-dialog').waitFor({ state: 'hidden' })
    await search(page, key)
    await rowWith(page, '测试甲').waitFor()

    await rowWith(page, '测试甲').locator('[data-testid="contact-edit"]').click()
    await byId(page, 'contact-name').fill('测试乙')
    await byId(page, 'contact-save').click()
    await rowWith(page, '测试乙').waitFor()

    await byId(page, 'contact-import').click()
    const lines = [{ name: '测试丙', contact: key }, { name: '没有联系方式' }].map((line) => JSON.stringify(line)).join('\n')
    await byId(page, 'import-file').setInputFiles({ name: 'contacts.jsonl', mimeType: 'application/x-ndjson', buffer: Buffer.from(lines) })
    await byId(page, 'import-submit').click()
    const report = byId(page, 'import-report')
    await report.waitFor()
    assert.match(await report.innerText(), /共 2 行:新建 0，修改 1，未变 0，有误 1[^]*联系方式/)
    await byId(page, 'import-dialog').getByText('关闭').click()
    await rowWith(page, '测试丙').waitFor()

    const { body, uuid } = await pressExport(page)
    assert.equal(body.code, 200, JSON.stringify(body))
    await jobCard(page, uuid).locator('[data-testid="export-download"]').waitFor({ timeout: exportPatience })

    await byId(page, 'contact-remove').click()
    await page.locator('.el-popconfirm').getByText('删除', { exact: true }).click()
    await byId(page, 'list-empty').waitFor()
  }))

test('a change that somebody else was quicker with is refused, and goes through on top of what they wrote', () =>
  withPage(browser, async (page) => {
    const api = await client(people.staff)
    const contact = `wechat:race${Date.now()}`
    const { body } = await api.send('POST', '/api/contacts', { name: '测试丁', contact })
    await open(page, people.staff, `/contacts?search=${encodeURIComponent(contact)}`)
    await byId(page, 'contact-edit').click()
    await api.send('PUT', `/api/contacts/${body.data.id}`, { position: '产品经理' })
    await byId(page, 'contact-name').fill('测试戊')
    await byId(page, 'contact-save').click()
    await page.getByText('该记录已被他人修改').waitFor()
    const stored = async () => {
      const { body: found } = await api.get('/api/contacts', { search: contact })
      return [found.data.results[0].name, found.data.results[0].position]
    }
    assert.deepEqual(await stored(), ['测试丁', '产品经理'])
    assert.match(await byId(page, 'contact-changed').innerText(), /岗位:\(空\) → 产品经理/)
    await rowWith(page, '产品经理').waitFor() // the list behind the dialog is fresh
    assert.equal(await byId(page, 'contact-name').inputValue(), '测试戊')
    assert.equal(await byId(page, 'contact-position').inputValue(), '产品经理')
    await byId(page, 'contact-save').click()
    await byId(page, 'contact-dialog').waitFor({ state: 'hidden' })
    assert.deepEqual(await stored(), ['测试戊', '产品经理'])
  }))

test('a refused change that is given up leaves a list to go on from', () =>
  withPage(browser, async (page) => {
    const api = await client(people.staff)
    const contact = `wechat:again${Date.now()}`
    const { body } = await api.send('POST', '/api/contacts', { name: '测试己', contact })
    await open(page, people.staff, `/contacts?search=${encodeURIComponent(contact)}`)
    await byId(page, 'contact-edit').click()
    await api.send('PUT', `/api/contacts/${body.data.id}`, { position: '产品经理' })
    await byId(page, 'contact-name').fill('测试庚')
    await byId(page, 'contact-save').click()
    await rowWith(page, '产品经理').waitFor()
    await byId(page, 'contact-dialog').getByText('取消').click()
    await byId(page, 'contact-dialog').waitFor({ state: 'hidden' })
    await byId(page, 'contact-edit').click()
    await byId(page, 'contact-name').fill('测试辛')
    await byId(page, 'contact-save').click()
    await rowWith(page, '测试辛').waitFor()
  }))

test('a record that somebody else has deleted is said to be gone, and is', () =>
  withPage(browser, async (page) => {
    const api = await client(people.staff)
    const contact = `wechat:gone${Date.now()}`
    const { body } = await api.send('POST', '/api/contacts', { name: '测试壬', contact })
    await open(page, people.staff, `/contacts?search=${encodeURIComponent(contact)}`)
    await byId(page, 'contact-edit').click()
    await api.send('DELETE', `/api/contacts/${body.data.id}`)
    await byId(page, 'contact-name').fill('测试癸')
    await byId(page, 'contact-save').click()
    await page.getByText('该记录已被他人删除').waitFor()
    await byId(page, 'contact-dialog').waitFor({ state: 'hidden' })
    await byId(page, 'list-empty').waitFor()
  }))

test('a status that is not in the dictionary is shown, searched for and kept', () =>
  withPage(browser, async (page) => {
    const api = await client(people.staff)
    const contact = `wechat:status${Date.now()}`
    const status = `待回访${Date.now()}`
    await api.send('POST', '/api/contacts', { name: '测试子', contact, reply_status: status })
    await open(page, people.staff, `/contacts?reply_status=${encodeURIComponent(status)}`)
    assert.ok((await byId(page, 'filter-reply_status').innerText()).includes(status))
    await byId(page, 'contact-edit').click()
    await byId(page, 'contact-reply-status').getByText(status).waitFor()
    await byId(page, 'contact-name').fill('测试丑')
    await byId(page, 'contact-save').click()
    await rowWith(page, '测试丑').waitFor()
    const { body } = await api.get('/api/contacts', { search: contact })
    assert.equal(body.data.results[0].reply_status, status)
    await byId(page, 'filter-reset').click()
    await search(page, contact)
    await rowWith(page, '测试丑').waitFor()
    await byId(page, 'filter-reply_status').click()
    await byId(page, `filter-reply_status-${status}`).click()
    await byId(page, 'filter-submit').click()
    await page.waitForURL((url) => url.searchParams.get('reply_status') === status)
  }))

test('half a range of dates in the address is seen and can be completed', () =>
  withPage(browser, async (page) => {
    await open(page, people.staff, '/contacts?start_date=2020-01-01')
    const dates = byId(page, 'filter-start_date').locator('input')
    assert.deepEqual([await dates.nth(0).inputValue(), await dates.nth(1).inputValue()], ['2020-01-01', ''])
    await dates.nth(0).fill('')
    await dates.nth(0).press('Enter')
    await dates.nth(1).fill('2020-02-03')
    await dates.nth(1).press('Enter')
    await byId(page, 'filter-submit').click()
    await page.waitForURL((url) => url.searchParams.get('end_date') === '2020-02-03' && !url.searchParams.has('start_date'))
  }))

test('a filter that can’t be read can be cleared', () =>
  withPage(browser, async (page) => {
    await page.goto(`${base}/login?redirect=${encodeURIComponent('/contacts?wechat_exchanged=maybe')}`)
    await fillLogin(page, people.staff)
    await byId(page, 'error-message').waitFor()
    assert.ok((await byId(page, 'filter-wechat_exchanged').innerText()).includes('maybe'))
    await byId(page, 'list-clear').click()
    await byId(page, 'list-total').waitFor()
    assert.equal(new URL(page.url()).search, '')
  }))

test('who may not write sees the list and nothing to change it with', () =>
  withPage(browser, async (page) => {
    await open(page, people.correspondent, '/contacts')
    assert.ok(Number(await byId(page, 'list-total').getAttribute('data-total')) > 0)
    for (const id of ['contact-new', 'contact-import', 'contact-edit', 'contact-remove']) assert.equal(await byId(page, id).count(), 0, id)
    assert.equal(await byId(page, 'export-button').isDisabled(), true)
  }))
