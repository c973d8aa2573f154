// Subscribes to many channels with a stock Faye client each and prints every event as a line of JSON, until it is killed.
//
//	node fleet.mjs <endpoint> <websocket|long-polling> <channel> [<endpoint> <transport> <channel> ...]
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../web/package.json', import.meta.url))
const Faye = require('faye')

const args = process.argv.slice(2)
const print = (line) => process.stdout.write(JSON.stringify(line) + '\n')

for (let i = 0; i + 2 < args.length; i += 3) {
  const [endpoint, transport, channel] = args.slice(i, i + 3)
  const number = i / 3
  const client = new Faye.Client(endpoint, { retry: 1 })
  if (transport === 'long-polling') client.disable('websocket')
  client.addExtension({
    incoming(message, callback) {
      if (message.channel === '/meta/handshake' && message.successful) print({ client: number, session: message.clientId })
      callback(message)
    },
  })
  client
    .subscribe(channel, (data) => print({ client: number, event: data }))
    .then(
      () => print({ client: number, subscribed: channel }),
      (error) => print({ client: number, refused: error.code, message: error.message }),
    )
}
