import { ref } from 'vue'
import type { LineState, Realtime } from './client'

/** A connection for tests: the test decides what is accepted, what arrives and when the line breaks. */
export function fakeRealtime() {
  const state = ref<LineState>('connecting')
  const log: string[] = []
  const open: { channel: string; handler: (data: unknown) => void; accept: () => void; refuse: () => void }[] = []
  const connection: Realtime = {
    state,
    subscribe(channel, handler) {
      log.push(`+${channel}`)
      let accept!: () => void
      let refuse!: () => void
      const ready = new Promise<void>((resolve, reject) => {
        accept = resolve
        refuse = () => reject(new Error('403'))
      })
      const entry = { channel, handler, accept, refuse }
      open.push(entry)
      return {
        ready,
        cancel() {
          log.push(`-${channel}`)
          open.splice(open.indexOf(entry), 1)
        },
      }
    },
    close: () => log.push('close'),
  }
  return { connection, state, log, open, push: (data: unknown) => open.forEach(({ handler }) => handler(data)) }
}
