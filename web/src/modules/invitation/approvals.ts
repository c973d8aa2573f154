/** How far the job of a bulk decision is. */
export interface BulkProgress {
  uuid: string
  /** Invitations dealt with, the failed ones among them. */
  done: number
  total: number
  failed: number
  state: 'running' | 'done' | 'failure'
  /** Why the job failed, in words. */
  error: string | null
}

/** What comes over a person's channel of decisions. */
export type ApprovalEvent =
  | { type: 'decided'; id: number }
  | { type: 'progress'; uuid: string; done: number; total: number; failed: number; error: string | null; ended: boolean }

/** What came over the wire as an event, or null when it is none. */
export function parseApproval(data: unknown): ApprovalEvent | null {
  if (typeof data !== 'object' || data === null) return null
  const { status, uuid, id, done, total, failed, error } = data as Record<string, unknown>
  if (status !== 'progress' && status !== 'approved' && status !== 'rejected' && status !== 'failure') return null
  if (typeof uuid === 'string') {
    if (!isCount(done) || !isCount(total)) return null
    const ended = status === 'failure' || done >= total
    return { type: 'progress', uuid, done, total, failed: isCount(failed) ? failed : 0, error: status === 'failure' ? reason(error) : null, ended }
  }
  return isCount(id) ? { type: 'decided', id } : null
}

/**
 * The bars after an event. Events may come twice and late: done never goes back, and after the end nothing counts. The
 * end of a job that this page never saw running is old news.
 */
export function applyProgress(bars: readonly BulkProgress[], event: ApprovalEvent & { type: 'progress' }): readonly BulkProgress[] {
  const known = bars.find((bar) => bar.uuid === event.uuid)
  if (known === undefined) return event.ended ? bars : [...bars, barOf(event)]
  if (known.state !== 'running') return bars
  return bars.map((bar) => (bar === known ? { ...barOf(event), done: Math.max(bar.done, event.done), failed: Math.max(bar.failed, event.failed) } : bar))
}

function barOf({ uuid, done, total, failed, error, ended }: ApprovalEvent & { type: 'progress' }): BulkProgress {
  return { uuid, done, total, failed, error, state: error !== null ? 'failure' : ended ? 'done' : 'running' }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function reason(error: unknown): string {
  const message = typeof error === 'object' && error !== null ? (error as Record<string, unknown>).message : null
  return typeof message === 'string' && message !== '' ? message : '审批未完成，请重新审批'
}
