// Drives the stock Faye client for the Go tests: node client.js <url> <websocket|long-polling>.
// Commands come as lines of JSON on standard input, what happens goes as lines of JSON to standard output.
'use strict';

const faye = require('faye');
const readline = require('readline');

const [url, transport] = process.argv.slice(2);
const client = new faye.Client(url, { retry: 0.1 });
if (transport !== 'websocket') client.disable('websocket');

const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
client.on('transport:up', () => say('up'));
client.on('transport:down', () => say('down'));

const subscriptions = new Map();
const commands = {
  subscribe({ channel }) {
    const subscription = client.subscribe(channel, (data) => say('message', { channel, data }));
    subscriptions.set(channel, subscription);
    subscription.then(
      () => say('subscribed', { channel }),
      (error) => say('refused', { channel, code: error.code, message: error.message }),
    );
  },
  unsubscribe({ channel }) {
    subscriptions.get(channel).cancel();
    client.publish('/probe', 1).then(null, (error) => say('unsubscribed', { code: error.code, message: error.message }));
  },
  disconnect() {
    client.disconnect().then(() => say('disconnected'));
  },
};

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.op](command);
  })
  .on('close', () => process.exit(0));
