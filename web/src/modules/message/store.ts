import { defineStore } from 'pinia'
import { computed, ref, shallowRef, watch } from 'vue'
import { useSession } from '@/app/session'
import { listMessages } from './api'
import type { Counts } from './types'

/** The counts of the person's messages, kept true by every answer and every push; another person begins with none. */
export const useMessages = defineStore('messages', () => {
  const session = useSession()
  const counts = shallowRef<Counts | null>(null)
  /** Rises with every pushed message, so that a list knows when to look again. */
  const pushes = ref(0)
  /** Rises when the tab changes hands: an answer to somebody else's question counts no more. */
  let hands = 0

  watch(
    () => session.me?.id,
    () => {
      hands++
      counts.value = null
    },
    { flush: 'sync' },
  )

  function take(next: Counts): void {
    counts.value = { unreadMum: next.unreadMum, waitHandleNum: next.waitHandleNum }
  }

  /** Waits for an answer and takes the counts in it. */
  async function taking<T>(asked: Promise<T>, countsOf: (answer: T) => Counts): Promise<T> {
    const mine = hands
    const answer = await asked
    if (mine === hands) take(countsOf(answer))
    return answer
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
      await taking(listMessages('waitHandle', {}), (answer) => answer.counts)
    } catch {
      // the next push or answer brings the counts
    }
  }

  return {
    counts,
    pushes,
    unread: computed(() => counts.value?.unreadMum ?? 0),
    waiting: computed(() => counts.value?.waitHandleNum ?? 0),
    taking,
    receive,
    refresh,
  }
})

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
