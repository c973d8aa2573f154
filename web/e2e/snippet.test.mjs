// The documented snippet, on a page of another site, with no token and no cookie: the contract with existing front ends.
import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { client } from './support/api.mjs'
import { base, exportPatience, launch, people, withPage } from './support/browser.mjs'
import { foreignSite, subscribed } from './support/foreignSite.mjs'
import { readWorkbook } from './support/workbook.mjs'

// Verbatim, but for the two addresses and the value of the channel.
const documented = (address, exportChannel) => `
function withFayeClient(callback) {
  var init_faye = function () {
    if(!window.initFaye) {
      window.initFaye = $.ajax({
        url: '${address}/faye/client.js',
        cache: true,
        dataType: "script"
      }).done(function() {
        window.fayeClient = new Faye.Client("${address}/faye");
      });
    }

    window.initFaye.done(callback);
  }

  setTimeout(init_faye, 400);
}


_function = function() {
  console.log('subscribeAsyncToFaye: ' + new Date())

  var channel = "${exportChannel}"
  window.fayeClient.subscribe(channel, function(data) {
    console.log("======.",data)
  })
}

withFayeClient(_function.bind(this))
`

// The snippet writes its events to the console, where this test reads them.
const listenToConsole = `
window.received = []
var log = console.log
console.log = function(label, data) {
  if (label === "======.") window.received.push(JSON.stringify(data))
  log.apply(console, arguments)
}
`

const jqueryPage = (channel) => `<!doctype html><meta charset="utf-8"><title>jQuery</title>
<script src="/jquery.js"></script><script>${listenToConsole}</script><script>${documented(base, channel)}</script>`

const scriptTagPage = (channel) => `<!doctype html><meta charset="utf-8"><title>script tag</title>
<script src="${base}/faye/client.js"></script>
<script>
window.received = []
var client = new Faye.Client("${base}/faye")
client.subscribe("${channel}", function(data) { window.received.push(JSON.stringify(data)) })
</script>`

const workbookType = 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'
const firstSeven = ['status', 'file_url', 'progress', 'service', 'uuid', 'count', 'file_size']

let browser
let site
let folder
let admin
let channel

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'exporthub-e2e-'))
  admin = await client(people.admin)
  channel = (await admin.me()).export_channel
  assert.match(channel, /^\/export\/\d+-[0-9a-f]{32}$/)
  site = await foreignSite({ '/jquery': jqueryPage(channel), '/script-tag': scriptTagPage(channel) })
  browser = await launch()
})

after(async () => {
  await browser?.close()
  await site?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
})

test('the documented snippet hears an export of every row from start to file', () => hears('/jquery', {}))

test('a plain script tag hears one as well', () => hears('/script-tag', { approve_status: 'rejected' }))

async function hears(path, filters) {
  await withPage(browser, async (page, context) => {
    const ready = subscribed(page, channel)
    await page.goto(site.origin + path)
    await ready
    assert.deepEqual(await context.cookies(), [], 'the page must need no cookie')

    const total = (await admin.invitations(filters)).total_count
    const uuid = await admin.queue(filters)
    await page.waitForFunction(
      (job) => window.received.some((text) => text.includes(job) && /"status":"(success|failure|cancelled)"/.test(text)),
      uuid,
      { timeout: exportPatience },
    )
    const received = await page.evaluate(() => window.received)
    await writeDown(path, received)
    const events = received.map((text) => JSON.parse(text)).filter((event) => event.uuid === uuid)
    checkEvents(events, total)
    await checkFile(events.at(-1), total, `${path.slice(1)}.xlsx`)
  })
}

/** For the checker of stories, which is the Go tests'. */
async function writeDown(page, received) {
  if (!process.env.EVENTS) return
  const lines = received.map((text) => JSON.stringify({ page, event: JSON.parse(text) }) + '\n')
  await appendFile(process.env.EVENTS, lines.join(''))
}

/** The stages in order, each with the fields of its row in the documentation. */
function checkEvents(events, total) {
  const shown = events.map(({ status, progress }) => `${status} ${progress}`).join(', ')
  events.forEach(checkShape)
  const stages = events.map((event) => event.status).filter((status, i, all) => status !== all[i - 1])
  const required = ['starting', 'start', 'writing_file', 'before_upload', 'success']
  assert.deepEqual(stages.filter((status) => !['queued', 'uploading'].includes(status)), required, `stages: ${shown}`)

  const of = (status) => events.filter((event) => event.status === status)
  assert.deepEqual(pick(of('starting')), [[1, null, null, null]])
  assert.deepEqual(pick(of('start')), [[3, total, null, null]])
  const writing = of('writing_file').map((event) => event.progress)
  assert.ok(writing.every((progress, i) => progress >= 3 && progress <= 90 && (i === 0 || progress > writing[i - 1])), `not rising: ${shown}`)
  assert.ok(writing.at(-1) > 3, `nothing was written: ${shown}`)
  for (const event of of('writing_file')) assert.deepEqual(pick([event])[0].slice(1), [total, null, null])
  for (const event of of('before_upload')) {
    assert.deepEqual([event.progress, event.count, event.file_url], [90, total, null])
    assert.ok(Number.isInteger(event.file_size) && event.file_size > 0)
  }
  assert.equal(of('success').length, 1)
  const end = events.at(-1)
  assert.deepEqual([end.progress, end.count, end.file_size], [100, total, of('before_upload')[0].file_size])
}

const pick = (events) => events.map(({ progress, count, file_size: size, file_url: url }) => [progress, count, size, url])

function checkShape(event) {
  assert.deepEqual(Object.keys(event).slice(0, 7), firstSeven)
  assert.equal(typeof event.status, 'string')
  assert.equal(typeof event.progress, 'number')
  assert.equal(event.service, 'Exports::Invitation')
  assert.match(event.uuid, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  for (const field of ['count', 'file_size']) assert.ok(event[field] === null || Number.isInteger(event[field]), `${field}: ${event[field]}`)
  assert.ok(event.file_url === null || typeof event.file_url === 'string')
}

/** The link is good by itself: no token, no cookie. */
async function checkFile({ file_url: url, file_size: size }, total, name) {
  const response = await fetch(url)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('Content-Type'), workbookType)
  assert.match(response.headers.get('Content-Disposition') ?? '', /^attachment;.*\.xlsx/)
  const bytes = Buffer.from(await response.arrayBuffer())
  assert.equal(bytes.length, size)
  const path = join(folder, name)
  await writeFile(path, bytes)
  assert.equal((await readWorkbook(path)).rows.length, total)
}
