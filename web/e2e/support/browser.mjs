// Everything the tests share about the browser. One browser per test file, one context per test.
import { chromium } from 'playwright-core'

export const base = (process.env.BASE_URL ?? 'http://127.0.0.1:8080').replace(/\/+$/, '')

/** The longest anything on a page may take before it counts as broken; milliseconds. */
export const patience = 30_000
/** The same for a whole export of the demo rows. */
export const exportPatience = 120_000

export const people = {
  admin: { account: 'admin', password: '123456' },
  staff: { account: '13800000002', password: '123456' },
  correspondent: { account: '13800000003', password: '123456' },
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    // Where the environment names no locale, a download with a Chinese name would be called "download".
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** Runs a test in a context of its own, which is gone afterwards with all its pages and cookies. */
export async function withPage(browser, run) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN', acceptDownloads: true })
  context.setDefaultTimeout(patience)
  try {
    const page = await context.newPage()
    const broken = []
    page.on('pageerror', (error) => broken.push(error.message))
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) broken.push(message.text())
    })
    await run(page, context)
    if (broken.length > 0) throw new Error(`errors on the page: ${broken.join('; ')}`)
  } finally {
    await context.close()
  }
}

export const byId = (page, id) => page.locator(`[data-testid="${id}"]`)

export async function fillLogin(page, { account, password }) {
  await byId(page, 'login-account').fill(account)
  await byId(page, 'login-password').fill(password)
  await byId(page, 'login-submit').click()
}

/** Logs in and waits for the list of invitations, at the given address. */
export async function open(page, person, path = '/invitations') {
  await page.goto(base + path)
  await fillLogin(page, person)
  await byId(page, 'list-total').waitFor()
}

/** The list's total once it differs from `before`. */
export async function totalOtherThan(page, before) {
  await page.waitForFunction((old) => {
    const total = document.querySelector('[data-testid="list-total"]')?.dataset.total
    return total !== undefined && total !== old
  }, before)
  return byId(page, 'list-total').getAttribute('data-total')
}

/** Chooses an approval status in the filter form and presses search. */
export async function filterByStatus(page, status) {
  await byId(page, 'filter-approve_status').click()
  await byId(page, `filter-approve_status-${status}`).click()
  await byId(page, 'filter-submit').click()
  await page.waitForURL((url) => url.searchParams.get('approve_status') === status)
}

export const jobCard = (page, uuid) => page.locator(`[data-testid="export-job"][data-uuid="${uuid}"]`)

/** Unfolds the list of exports where it is folded, as it is when nothing runs. */
export async function openPanel(page) {
  const panel = byId(page, 'export-panel')
  await panel.waitFor()
  if ((await panel.getAttribute('data-open')) === 'false') await byId(page, 'export-fold').click()
}

/** Presses export; the answer's body, and the job's id where it was queued. */
export async function pressExport(page) {
  const [response] = await Promise.all([
    page.waitForResponse((answer) => new URL(answer.url()).searchParams.has('export_format')),
    byId(page, 'export-button').click(),
  ])
  const body = await response.json()
  return { body, uuid: body.data?.uuid }
}

/** From now on the page notes every stage and percentage that it shows; see `shownStages`. */
export function recordStages(page) {
  return page.evaluate(() => {
    const shown = (window.shownStages = [])
    const look = () => {
      for (const card of document.querySelectorAll('[data-testid="export-job"]')) {
        const { uuid, status, attempt } = card.dataset
        const percent = Number(card.querySelector('[data-testid="export-percent"]').dataset.percent)
        const label = card.querySelector('[data-testid="export-status"]').textContent
        const last = shown.findLast((stage) => stage.uuid === uuid)
        if (last?.status !== status || last.percent !== percent) shown.push({ uuid, status, attempt: Number(attempt), percent, label })
      }
    }
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true })
  })
}

export async function shownStages(page, uuid) {
  return (await page.evaluate(() => window.shownStages)).filter((stage) => stage.uuid === uuid)
}

/** Waits for a job's download link, presses it and saves what comes. */
export async function download(page, uuid, path) {
  const link = jobCard(page, uuid).locator('[data-testid="export-download"]')
  await link.waitFor({ timeout: exportPatience })
  const [file] = await Promise.all([page.waitForEvent('download'), link.click()])
  await file.saveAs(path)
  return file.suggestedFilename()
}
