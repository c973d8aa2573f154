import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { fakeRealtime } from '@/realtime/fake'
import { lookEvery, useApprovals } from './useApprovals'

let scope: EffectScope
beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

function start() {
  const line = fakeRealtime()
  const refresh = vi.fn<() => void>()
  const waiting = { now: false }
  const approvals = scope.run(() => useApprovals({ channel: ref('/approval/1'), refresh, waiting: () => waiting.now, connection: () => line.connection }))!
  return { line, refresh, waiting, approvals }
}

const progress = (done: number) => ({ status: 'progress', uuid: 'u-1', done, total: 3, failed: 0 })

it('moves the bar with every event, and refreshes once for a burst', () => {
  const { line, refresh, approvals } = start()
  approvals.follow('u-1', 3)
  for (const done of [1, 2, 3]) line.push(progress(done))
  line.push({ status: 'approved', id: 9 })
  line.push({ nonsense: true })
  expect(approvals.bars.value).toMatchObject([{ done: 3, state: 'done' }])
  vi.advanceTimersByTime(lookEvery - 1)
  expect(refresh).toHaveBeenCalledTimes(1)
  approvals.dismiss('u-1')
  expect(approvals.bars.value).toEqual([])
})

it('keeps events that came before the answer', () => {
  const { line, approvals } = start()
  line.push(progress(2))
  approvals.follow('u-1', 3)
  expect(approvals.bars.value).toMatchObject([{ done: 2 }])
})

it('polls while rows wait, without any push, and not after', () => {
  const { refresh, waiting } = start()
  waiting.now = true
  vi.advanceTimersByTime(2 * lookEvery)
  expect(refresh).toHaveBeenCalledTimes(2)
  waiting.now = false
  vi.advanceTimersByTime(2 * lookEvery)
  scope.stop()
  waiting.now = true
  vi.advanceTimersByTime(2 * lookEvery)
  expect(refresh).toHaveBeenCalledTimes(2)
})
