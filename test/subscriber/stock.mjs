// Subscribes to a channel with the stock Faye client and prints every event as a line of JSON, until a job ends.
//
//	node stock.mjs <endpoint> <channel> <websocket|long-polling> [token]
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const Faye = require('faye')

const [endpoint, channel, transport, token] = process.argv.slice(2)
const client = new Faye.Client(endpoint)
if (transport === 'long-polling') client.disable('websocket')
if (token) {
  client.addExtension({
    outgoing(message, callback) {
      if (message.channel === '/meta/handshake') message.ext = { ...message.ext, access_token: token }
      callback(message)
    },
  })
}

const print = (line) => process.stdout.write(JSON.stringify(line) + '\n')
client.addExtension({
  incoming(message, callback) {
    if (message.channel === '/meta/handshake' && message.successful) print({ session: message.clientId })
    callback(message)
  },
})
const ends = new Set(['success', 'failure', 'cancelled'])

const subscription = client.subscribe(channel, (data) => {
  print({ event: data })
  if (ends.has(data.status)) client.disconnect().then(() => process.exit(0))
})
subscription.then(
  () => print({ subscribed: channel }),
  (error) => {
    print({ refused: error.code, message: error.message })
    process.exit(0)
  },
)
