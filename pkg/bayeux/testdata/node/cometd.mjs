// Drives CometD's client for the Go tests: node cometd.mjs <url> <websocket|long-polling> <ack|plain>. Its handshake goes over the transport
// it uses, also a websocket, and its HTTP requests go to addresses below the endpoint.
import { createInterface } from 'node:readline'
import { adapt } from 'cometd-nodejs-client'
import { AckExtension } from 'cometd/AckExtension.js'
import { CometD } from 'cometd'

adapt()
const [url, transport, acks] = process.argv.slice(2)
const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n')
const client = new CometD()
if (acks === 'ack') client.registerExtension('ack', new AckExtension())
client.configure({ url, logLevel: 'warn', backoffIncrement: 100 })
for (const type of client.getTransportTypes()) if (type !== transport) client.unregisterTransport(type)

const subscriptions = new Map()
const settle = (done, channel) => (reply) =>
  reply.successful ? say(done, { channel }) : say('refused', { channel, message: reply.error, code: Number(reply.error.slice(0, 3)) })
const commands = {
  handshake: () => client.handshake(settle('up', '')),
  subscribe: ({ channel }) =>
    subscriptions.set(channel, client.subscribe(channel, (m) => say('message', { channel: m.channel, data: m.data }), settle('subscribed', channel))),
  unsubscribe: ({ channel }) => client.unsubscribe(subscriptions.get(channel), settle('unsubscribed', channel)),
  publish: ({ channel, data }) => client.publish(channel, data, settle('published', channel)),
  transport: () => say('transport', { message: client.getTransport().type }),
  disconnect: () => client.disconnect(settle('disconnected', '')),
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line)
    commands[command.op](command)
  })
  .on('close', () => process.exit(0))
