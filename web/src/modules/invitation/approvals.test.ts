import { describe, expect, it } from 'vitest'
import { applyProgress, parseApproval, type BulkProgress } from './approvals'

const progress = (done: number, more: Record<string, unknown> = {}) => ({ status: 'progress', uuid: 'u-1', done, total: 10, failed: 0, ...more })

function play(events: unknown[], bars: readonly BulkProgress[] = []): readonly BulkProgress[] {
  return events.reduce<readonly BulkProgress[]>((all, data) => {
    const event = parseApproval(data)
    return event?.type === 'progress' ? applyProgress(all, event) : all
  }, bars)
}

describe('parseApproval', () => {
  it('reads progress and decisions', () => {
    expect(parseApproval(progress(4, { failed: 1 }))).toEqual({ type: 'progress', uuid: 'u-1', done: 4, total: 10, failed: 1, error: null, ended: false })
    expect(parseApproval({ status: 'approved', id: 7, approve_description: null })).toEqual({ type: 'decided', id: 7 })
    expect(parseApproval({ status: 'failure', id: 7, error: { code: 'x', message: '不存在' } })).toEqual({ type: 'decided', id: 7 })
  })

  it.each([null, 'x', {}, { status: 'approved' }, { status: 'resting', id: 7 }, progress(-1), progress(1.5), { status: 'progress', uuid: 'u-1', total: 3 }])(
    'refuses %o',
    (data) => expect(parseApproval(data)).toBeNull(),
  )
})

describe('applyProgress', () => {
  it('goes up to the end', () => {
    const bars = play([progress(0), progress(4), progress(10, { failed: 2 })])
    expect(bars).toEqual([{ uuid: 'u-1', done: 10, total: 10, failed: 2, state: 'done', error: null }])
  })

  it('never goes back, and ends once', () => {
    expect(play([progress(6), progress(4)])[0]).toMatchObject({ done: 6, state: 'running' })
    expect(play([progress(6), progress(10), progress(8)])[0]).toMatchObject({ done: 10, state: 'done' })
  })

  it('shows why a job failed', () => {
    const bars = play([progress(4), progress(4, { status: 'failure', error: { code: 'x', message: '数据库暂时不可用' } })])
    expect(bars[0]).toMatchObject({ done: 4, state: 'failure', error: '数据库暂时不可用' })
    expect(play([progress(4), progress(4, { status: 'failure' })])[0]?.error).toContain('重新审批')
  })

  it('leaves the end of unknown jobs alone, and shows those of another tab that run', () => {
    expect(play([progress(10)])).toEqual([])
    expect(play([progress(3)])).toHaveLength(1)
  })

  it('keeps jobs apart', () => {
    expect(play([progress(3), progress(5, { uuid: 'u-2' }), progress(10)]).map((bar) => [bar.uuid, bar.done])).toEqual([['u-1', 10], ['u-2', 5]])
  })
})
