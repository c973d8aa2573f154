import Faye from 'faye'
import { readonly, ref, type Ref } from 'vue'

/** What the page knows of the line to the server. */
export type LineState = 'connecting' | 'up' | 'down'

export interface ChannelSubscription {
  /** Resolves when the server has accepted the subscription, rejects when it refused it. */
  ready: Promise<void>
  cancel(): void
}

/** The page's one connection for pushed events. */
export interface Realtime {
  state: Readonly<Ref<LineState>>
  subscribe(channel: string, handler: (data: unknown) => void): ChannelSubscription
  close(): void
}

/** Seconds between the client's attempts while the server can't be reached. */
const retrySeconds = 3

function connect(endpoint: string): Realtime {
  const client = new Faye.Client(endpoint, { retry: retrySeconds })
  const state = ref<LineState>('connecting')
  client.on('transport:up', () => {
    state.value = 'up'
  })
  client.on('transport:down', () => {
    state.value = 'down'
  })

  // The client says goodbye on "beforeunload", which also fires for a link that turns out to be a download, and would
  // leave the page deaf after it. "pagehide" is the real end.
  client.disable('autodisconnect')
  const leave = (event: PageTransitionEvent): void => {
    if (!event.persisted) client.disconnect()
  }
  window.addEventListener('pagehide', leave)

  return {
    state: readonly(state),
    subscribe(channel, handler) {
      const subscription = client.subscribe(channel, handler)
      return {
        ready: new Promise((resolve, reject) => subscription.then(resolve, reject)),
        cancel: () => subscription.cancel(),
      }
    },
    close() {
      window.removeEventListener('pagehide', leave)
      client.disconnect()
    },
  }
}

let shared: Realtime | null = null

/** The connection of this page, made when it is first needed. */
export function realtime(): Realtime {
  shared ??= connect(`${window.location.origin}/faye`)
  return shared
}

/** Ends the connection, at logout: the next person on this page gets one of their own. */
export function closeRealtime(): void {
  shared?.close()
  shared = null
}
