// Drives the browser build of the stock Faye client in Chromium for the Go tests: one browser, a page for each client. Commands come
// as lines of JSON on standard input, what happens goes as lines of JSON to standard output; both name the page.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const require = createRequire(new URL('../../../../web/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const commands = fileURLToPath(new URL('../node/commands.js', import.meta.url))

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
})
const pages = new Map()
const say = (page, event, fields) => process.stdout.write(JSON.stringify({ page, event, ...fields }) + '\n')

async function open({ page: name, address, endpoint, disabled }) {
  const context = await browser.newContext()
  const page = await context.newPage()
  page.on('pageerror', (error) => say(name, 'broken', { message: error.message }))
  await page.exposeFunction('say', (event, fields) => say(name, event, fields))
  await page.goto(address)
  await page.addScriptTag({ path: commands })
  await page.evaluate(
    ([url, off]) => {
      window.commands = stockCommands(Faye, url, off, window.say)
    },
    [endpoint, disabled],
  )
  pages.set(name, page)
  say(name, 'open')
}

async function run(command) {
  if (command.op === 'open') return open(command)
  const page = pages.get(command.page)
  if (command.op === 'close') return page.context().close()
  return page.evaluate((c) => window.commands[c.op](c), command)
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const command = JSON.parse(line)
  run(command).catch((error) => say(command.page, 'broken', { message: String(error) }))
})
lines.on('close', async () => {
  await browser.close()
  process.exit(0)
})
say('', 'ready')
