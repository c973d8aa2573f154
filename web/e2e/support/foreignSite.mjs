// A page of another site: an existing front end that knows nothing of our page, our cookie or our token.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { base } from './browser.mjs'

const require = createRequire(import.meta.url)

/**
 * Serves the given HTML pages by path, and /jquery.js, on another site than the server: two ports of one host would be
 * the same site, so it takes the other name of this machine.
 */
export async function foreignSite(pages) {
  const jquery = await readFile(require.resolve('jquery/dist/jquery.min.js'))
  const server = createServer((request, response) => {
    const html = pages[request.url]
    if (html !== undefined) response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' }).end(html)
    else if (request.url === '/jquery.js') response.writeHead(200, { 'Content-Type': 'text/javascript' }).end(jquery)
    else response.writeHead(404).end()
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const host = new URL(base).hostname === 'localhost' ? '127.0.0.1' : 'localhost'
  return {
    origin: `http://${host}:${server.address().port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  }
}

/**
 * Resolves when the server has confirmed the page's subscription, seen on the wire, whichever transport the client has
 * chosen: what is queued after it must be delivered.
 */
export function subscribed(page, channel) {
  return new Promise((resolve) => {
    const look = (text) => {
      if (messagesIn(text).some((message) => confirms(message, channel))) resolve()
    }
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => look(String(payload))))
    page.on('response', (response) => {
      if (response.url().startsWith(`${base}/faye`)) response.text().then(look, () => undefined)
    })
  })
}

/** The messages of a frame, a polling answer or a JSONP answer. */
function messagesIn(text) {
  const json = /^\/\*\*\/[^(]*\((.*)\);?\s*$/s.exec(text)?.[1] ?? text
  try {
    return [JSON.parse(json)].flat()
  } catch {
    return [] // the client library itself, or a preflight
  }
}

function confirms(message, channel) {
  return message?.channel === '/meta/subscribe' && message.successful === true && [message.subscription].flat().includes(channel)
}
