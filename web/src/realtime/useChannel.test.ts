import { flushPromises } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { fakeRealtime } from './fake'
import { useChannel } from './useChannel'

const channelName = '/export/1-0123456789abcdef0123456789abcdef'

let scope: EffectScope
beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

function listen(name: string | null, onRefused = vi.fn()) {
  const line = fakeRealtime()
  const channel = ref(name)
  const got: unknown[] = []
  const { state } = scope.run(() => useChannel(channel, (data) => got.push(data), { onRefused, connection: () => line.connection }))!
  return { line, channel, got, state, onRefused }
}

describe('useChannel', () => {
  it('is live once the subscription is accepted and the line is up', async () => {
    const { line, got, state } = listen(channelName)
    expect(state.value).toBe('connecting')
    line.state.value = 'up'
    expect(state.value).toBe('connecting')
    line.open[0]?.accept()
    await flushPromises()
    expect(state.value).toBe('live')
    line.push({ n: 1 })
    expect(got).toEqual([{ n: 1 }])
    line.state.value = 'down'
    expect(state.value).toBe('down')
    line.state.value = 'up'
    expect(state.value).toBe('live')
  })

  it('follows the name and stops with the scope', async () => {
    const { line, channel, state } = listen(null)
    expect([state.value, line.log]).toEqual(['idle', []])
    channel.value = '/export/a'
    await flushPromises()
    channel.value = '/export/b'
    await flushPromises()
    channel.value = null
    await flushPromises()
    expect([state.value, line.log]).toEqual(['idle', ['+/export/a', '-/export/a', '+/export/b', '-/export/b']])
    channel.value = '/export/c'
    await flushPromises()
    scope.stop()
    expect(line.log.slice(-2)).toEqual(['+/export/c', '-/export/c'])
  })

  it('tries a refused channel again, and asks for a fresh name', async () => {
    const { line, state, onRefused } = listen(channelName)
    line.state.value = 'up'
    line.open[0]?.refuse()
    await flushPromises()
    expect([state.value, onRefused.mock.calls.length]).toEqual(['refused', 1])
    vi.advanceTimersByTime(29_000)
    expect(line.log).toEqual([`+${channelName}`])
    vi.advanceTimersByTime(1_000)
    expect(line.log).toEqual([`+${channelName}`, `+${channelName}`])
    line.open.at(-1)?.accept()
    await flushPromises()
    expect(state.value).toBe('live')
  })

  it('takes the fresh name at once and cancels the old retry', async () => {
    const { line, channel } = listen('/export/old')
    line.open[0]?.refuse()
    await flushPromises()
    channel.value = '/export/new'
    await flushPromises()
    vi.advanceTimersByTime(60_000)
    expect(line.log).toEqual(['+/export/old', '+/export/new'])
  })
})
