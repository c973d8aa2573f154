import { onScopeDispose, shallowRef, type Ref, type ShallowRef } from 'vue'
import type { Realtime } from '@/realtime/client'
import { useChannel } from '@/realtime/useChannel'
import { useCoalesced } from '@/shared/coalesce'
import { applyProgress, parseApproval, type BulkProgress } from './approvals'

/** While something is being decided the list is looked at this often, pushes or none; milliseconds. */
export const lookEvery = 5_000

export interface Approvals {
  bars: ShallowRef<readonly BulkProgress[]>
  /** Shows the bar of a decision that was just accepted. */
  follow(uuid: string, total: number): void
  dismiss(uuid: string): void
}

export interface ApprovalsOptions {
  /** Null for people who receive no decisions. */
  channel: Readonly<Ref<string | null>>
  /** Brings the rows up to date; called soon after every piece of news, once for a burst of them. */
  refresh: () => void
  /** Whether shown rows wait for a job. */
  waiting: () => boolean
  connection?: () => Realtime
}

/** Follows the decisions of the logged-in person, and those about invitations of their own. */
export function useApprovals({ channel, refresh, waiting, connection }: ApprovalsOptions): Approvals {
  const bars = shallowRef<readonly BulkProgress[]>([])
  const soon = useCoalesced(refresh)

  useChannel(
    channel,
    (data) => {
      const event = parseApproval(data)
      if (event === null) return
      if (event.type === 'progress') bars.value = applyProgress(bars.value, event)
      soon()
    },
    connection ? { connection } : {},
  )

  // Neither a lost event nor a line that is down leaves a row waiting for ever.
  const timer = setInterval(() => {
    if (waiting()) refresh()
  }, lookEvery)
  onScopeDispose(() => clearInterval(timer))

  return {
    bars,
    follow(uuid, total) {
      // Its first events may have been quicker than the answer.
      if (bars.value.some((bar) => bar.uuid === uuid)) return
      bars.value = [...bars.value, { uuid, done: 0, total, failed: 0, state: 'running', error: null }]
    },
    dismiss(uuid) {
      bars.value = bars.value.filter((bar) => bar.uuid !== uuid)
    },
  }
}
