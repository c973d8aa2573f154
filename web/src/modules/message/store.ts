import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { listMessages } from './api'
import type { Counts } from './types'

/** The counts of the person's messages, kept true by every answer and every push. */
export const useMessages = defineStore('messages', () => {
  const counts = shallowRef<Counts | null>(null)
  /** Rises with every pushed message, so that a list knows when to look again. */
  const pushes = ref(0)

  function take(next: Counts): void {
    counts.value = { unreadMum: next.unreadMum, waitHandleNum: next.waitHandleNum }
  }

  /** Takes what came over the channel; anything else than counts changes nothing. */
  function receive(data: unknown): void {
    if (typeof data !== 'object' || data === null) return
    const { unreadMum, waitHandleNum } = data as Record<string, unknown>
    if (!isCount(unreadMum) || !isCount(waitHandleNum)) return
    take({ unreadMum, waitHandleNum })
    pushes.value++
  }

  /** Asks the server; a failure leaves what is known. */
  async function refresh(): Promise<void> {
    try {
      take((await listMessages('waitHandle', {})).counts)
    } catch {
      // the next push or answer tells
    }
  }

  return {
    counts,
    pushes,
    unread: computed(() => counts.value?.unreadMum ?? 0),
    waiting: computed(() => counts.value?.waitHandleNum ?? 0),
    take,
    receive,
    refresh,
  }
})

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
