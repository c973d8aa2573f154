import { computed, onScopeDispose, ref, shallowRef, watch, type ComputedRef, type Ref } from 'vue'
import { realtime, type ChannelSubscription, type Realtime } from './client'

/** `live` is the only state in which nothing is missed; `refused` means the server does not know the channel (any more). */
export type ChannelState = 'idle' | 'connecting' | 'live' | 'down' | 'refused'

export interface ChannelOptions {
  /** Called when the channel was refused, at most once per retry; it may put another name into `channel`. */
  onRefused?: () => void
  /** Milliseconds until a refused channel is tried again. */
  retryAfter?: number
  connection?: () => Realtime
}

/**
 * Listens to a channel as long as the scope lives, following changes of its name. Lost connections are restored by the
 * client itself, subscriptions included; a refusal is final for the client, so it is tried again from here.
 */
export function useChannel(
  channel: Readonly<Ref<string | null>>,
  handler: (data: unknown) => void,
  { onRefused, retryAfter = 30_000, connection = realtime }: ChannelOptions = {},
): { state: ComputedRef<ChannelState> } {
  const accepted = ref(false)
  const refused = ref(false)
  const line = shallowRef<Realtime | null>(null)
  let current: ChannelSubscription | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  function leave(): void {
    clearTimeout(timer)
    current?.cancel()
    current = null
    accepted.value = false
    refused.value = false
  }

  function join(name: string): void {
    const client = connection()
    line.value = client
    const own = client.subscribe(name, (data) => {
      if (current === own) handler(data)
    })
    current = own
    own.ready.then(
      () => {
        if (current === own) accepted.value = true
      },
      () => {
        if (current !== own) return
        current = null
        refused.value = true
        timer = setTimeout(() => {
          if (channel.value !== name) return
          refused.value = false
          join(name)
        }, retryAfter)
        onRefused?.()
      },
    )
  }

  watch(
    channel,
    (name) => {
      leave()
      if (name) join(name)
    },
    { immediate: true },
  )
  onScopeDispose(leave)

  const state = computed<ChannelState>(() => {
    if (!channel.value || line.value === null) return 'idle'
    if (refused.value) return 'refused'
    if (line.value.state.value === 'down') return 'down'
    return accepted.value && line.value.state.value === 'up' ? 'live' : 'connecting'
  })
  return { state }
}
