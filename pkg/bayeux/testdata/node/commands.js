// What the Go tests have the stock Faye client do, in node and in a page. Everything that happens is told to say(event, fields).
'use strict';

function stockCommands(Faye, url, disabled, say) {
  const client = new Faye.Client(url, { retry: 0.1 });
  disabled.forEach((transport) => client.disable(transport));
  client.on('transport:up', () => say('up'));
  client.on('transport:down', () => say('down'));

  const replays = new Map(); // channel -> the number of the last message that is not missed
  client.addExtension({
    outgoing(message, callback) {
      if (message.channel === '/meta/subscribe' && replays.has(message.subscription)) {
        message.ext = { replay: replays.get(message.subscription) };
      }
      callback(message);
    },
    incoming(message, callback) {
      const position = message.ext && message.ext.replay;
      if (position && replays.has(message.channel)) replays.set(message.channel, position);
      callback(message);
    },
  });

  const subscriptions = new Map();
  const refused = (channel) => (error) => say('refused', { channel, code: error.code, message: error.message });
  const subscribe = (channel) => {
    const subscription = client.subscribe(channel).withChannel((name, data) => say('message', { channel: name, data }));
    subscriptions.set(channel, subscription);
    return subscription;
  };
  return {
    subscribe({ channel, replay }) {
      if (replay !== undefined) replays.set(channel, replay);
      subscribe(channel).then(() => say('subscribed', { channel }), refused(channel));
    },
    unsubscribe({ channel }) {
      subscriptions.get(channel).cancel();
      client.publish('/probe', 1).then(null, (error) => say('unsubscribed', { code: error.code, message: error.message }));
    },
    publish({ channel, data }) {
      client.publish(channel, data).then(() => say('published', { channel }), refused(channel));
    },
    // All of it in one tick, which the HTTP transports send as one request.
    batch({ channels, data }) {
      Promise.all(channels.map(subscribe)).then(() => say('subscribed', { channel: channels.join() }), refused(''));
      Promise.all(channels.map((channel) => client.publish(channel, data))).then(() => say('published', { channel: channels.join() }), refused(''));
    },
    transport() {
      say('transport', { message: client._dispatcher.connectionType });
    },
    disconnect() {
      client.disconnect().then(() => say('disconnected'));
    },
  };
}

if (typeof module !== 'undefined') module.exports = stockCommands;
