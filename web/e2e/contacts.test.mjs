// The contacts document's own calls with fetch, on a page of the same site: the contract with the old contacts page.
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { base, exportPatience, launch, people, withPage } from './support/browser.mjs'
import { readWorkbook } from './support/workbook.mjs'

// Verbatim.
const documented = `
const exportContacts = async (params) => {
  const queryString = new URLSearchParams(params).toString();

  try {
    const response = await fetch(\`/api/contacts/export?\${queryString}\`, {
      headers: {
        'Authorization': \`Bearer \${token}\`
      }
    });

    const result = await response.json();

    if (result.code === 200) {
      const { download_url, filename, total_records } = result.data;

      // 直接下载文件
      const link = document.createElement('a');
      link.href = download_url;
      link.download = filename;
      link.click();

      alert(\`成功导出 \${total_records} 条记录\`);
    }
  } catch (error) {
    console.error('导出失败:', error);
  }
};
`

const oldPage = (token) => `<!doctype html><meta charset="utf-8"><title>old contacts page</title>
<script>const token = ${JSON.stringify(token)}</script><script>${documented}</script>
<button onclick="exportContacts(JSON.parse(this.dataset.params))">导出</button>`

const header = ['ID', '姓名', '岗位', '联系方式', '回复状态', '是否交换微信', 'Worker ID', '备注', '联系时间', '创建时间']

// Somebody of their own: a person has one export at a time, and other tests export as the administrator.
const staff = { account: '13800000002', password: '123456' }

let browser
let folder
let api

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exporthub-e2e-'))
  api = await client(staff)
  browser = await launch()
})

after(async () => {
  await browser?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

/** A token as the old page has one, from the documented access endpoint. */
async function tokenOf({ account, password }) {
  const response = await fetch(`${base}/api/access/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ account, password }),
  })
  return (await response.json()).data.token
}

/** Opens the old page with somebody's token, and presses its button. */
async function press(page, person, params) {
  const body = oldPage(await tokenOf(person))
  await page.route(`${base}/old/contacts.html`, (route) => route.fulfill({ contentType: 'text/html; charset=utf-8', body }))
  await page.goto(`${base}/old/contacts.html`)
  await page.locator('button').evaluate((button, text) => { button.dataset.params = text }, JSON.stringify(params))
  await page.locator('button').click()
}

test('the documented fetch exports what the list shows, and the browser saves it under its name', async () => {
  const params = { start_date: '2024-01-01', end_date: '2026-12-31', reply_status: '已回复' }
  const list = await api.get('/api/contacts', { ...params, page_size: 1000 })
  assert.equal(list.body.code, 200, JSON.stringify(list.body))
  await withPage(browser, async (page) => {
    const said = new Promise((resolve) => {
      page.once('dialog', async (dialog) => {
        resolve(dialog.message())
        await dialog.accept()
      })
    })
    const saved = page.waitForEvent('download', { timeout: exportPatience })
    await press(page, staff, params)
    assert.equal(await said, `成功导出 ${list.body.data.total} 条记录`)
    const download = await saved
    assert.match(download.suggestedFilename(), /^contacts_export_\d{8}_\d{6}_[0-9a-f]{8}\.xlsx$/)
    assert.ok(download.url().startsWith(`${base}/media/exports/${download.suggestedFilename()}?s=`), download.url())
    const path = join(folder, download.suggestedFilename())
    await download.saveAs(path)
    const { header: titles, rows } = await readWorkbook(path)
    assert.deepEqual(titles, header)
    assert.equal(rows.length, list.body.data.total)
    assert.ok(rows.length > 0)
    const shown = list.body.data.results
    assert.deepEqual(rows.slice(0, shown.length).map((row) => row[1]), shown.map((contact) => contact.name))
  })
})

test('a person who may not export sees nothing on the old page, and nothing is saved', async () => {
  await withPage(browser, async (page) => {
    let reactions = 0
    page.on('dialog', (dialog) => { reactions++; return dialog.accept() })
    page.on('download', () => { reactions++ })
    const answered = page.waitForResponse((response) => response.url().includes('/api/contacts/export'))
    await press(page, people.correspondent, {})
    const answer = await answered
    assert.equal(answer.status(), 403)
    assert.deepEqual(await answer.json(), { code: 403, msg: '你没有应用导出的权限', data: null })
    assert.equal(reactions, 0)
  })
})
