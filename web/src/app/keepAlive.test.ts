import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import { renewEvery, retryEvery, useKeepAlive } from './keepAlive'

let scope: EffectScope
beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

function run(renew = vi.fn<() => Promise<void>>().mockResolvedValue(undefined)) {
  scope.run(() => useKeepAlive(renew))
  return renew
}

it('renews many times within the life of a token, and not all the time', async () => {
  const renew = run()
  await vi.advanceTimersByTimeAsync(renewEvery - 1)
  expect(renew).not.toHaveBeenCalled()
  await vi.advanceTimersByTimeAsync(24 * 60 * 60 * 1000)
  expect(renew.mock.calls.length).toBeGreaterThanOrEqual(11)
  expect(renew.mock.calls.length).toBeLessThanOrEqual(13)
})

it('tries again soon after a failure', async () => {
  const renew = run(vi.fn<() => Promise<void>>().mockRejectedValueOnce(new Error('offline')).mockResolvedValue(undefined))
  await vi.advanceTimersByTimeAsync(renewEvery + 2 * retryEvery)
  expect(renew).toHaveBeenCalledTimes(2)
})

it('renews at once when the page wakes up late', async () => {
  const renew = run()
  vi.setSystemTime(Date.now() + 10 * 60 * 60 * 1000) // asleep: time went by, timers did not
  document.dispatchEvent(new Event('visibilitychange'))
  expect(renew).toHaveBeenCalledTimes(1)
})

it('stops with the page', async () => {
  const renew = run()
  scope.stop()
  await vi.advanceTimersByTimeAsync(3 * renewEvery)
  document.dispatchEvent(new Event('visibilitychange'))
  expect(renew).not.toHaveBeenCalled()
})
