// The contacts page: search, create, change, import, delete, export.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { byId, exportPatience, jobCard, launch, open, people, pressExport, withPage } from './support/browser.mjs'

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

test('a change that somebody else was quicker with is refused, and what they wrote stays', () =>
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
    const after = await api.get('/api/contacts', { search: contact })
    assert.deepEqual([after.body.data.results[0].name, after.body.data.results[0].position], ['测试丁', '产品经理'])
  }))

test('who may not write sees the list and nothing to change it with', () =>
  withPage(browser, async (page) => {
    await open(page, people.correspondent, '/contacts')
    assert.ok(Number(await byId(page, 'list-total').getAttribute('data-total')) > 0)
    for (const id of ['contact-new', 'contact-import', 'contact-edit', 'contact-remove']) assert.equal(await byId(page, id).count(), 0, id)
    assert.equal(await byId(page, 'export-button').isDisabled(), true)
  }))
