import { flushPromises } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { fakeRealtime } from '@/realtime/fake'
import { ApiError } from '@/shared/errors'
import type { ExportEvent, ExportJob, ExportRecord, ExportStatus } from './types'
import { createExportProgress, endedKept, pollEvery, silenceLimit } from './useExportProgress'

const uuid = '5f0c1f0e-0000-4000-8000-000000000001'

function event(status: ExportStatus, progress: number, seq: number, more: Partial<ExportEvent> = {}): ExportEvent {
  return { status, progress, seq, file_url: null, service: 'Exports::Invitation', uuid, count: null, file_size: null, ...more }
}

function record(status: ExportStatus, progress: number): ExportRecord {
  return { uuid, status, service: '', filename: null, progress, count: null, file_size: null, file_url: null, error: null, event: null }
}

let scope: EffectScope
beforeEach(() => {
  vi.useFakeTimers()
  scope = effectScope()
})
afterEach(() => {
  scope.stop()
  vi.useRealTimers()
})

function start(remembered: string[] = []) {
  const line = fakeRealtime()
  const fetch = vi.fn<(uuid: string) => Promise<ExportRecord>>().mockRejectedValue(new ApiError('network', 'x'))
  const onEnd = vi.fn<(job: ExportJob) => void>()
  const saved: string[][] = []
  const progress = scope.run(() =>
    createExportProgress({
      channel: ref('/export/1-0123456789abcdef0123456789abcdef'),
      memory: { load: () => [...remembered], save: (uuids) => saved.push(uuids) },
      onEnd,
      onRefused: vi.fn(),
      fetch,
      connection: () => line.connection,
    }),
  )!
  async function goLive(): Promise<void> {
    line.state.value = 'up'
    line.open[0]?.accept()
    await flushPromises()
  }
  return { line, fetch, onEnd, saved, progress, goLive }
}

const shown = (progress: { jobs: { value: readonly ExportJob[] } }) => progress.jobs.value.map((job) => [job.uuid, job.status, job.progress])

describe('createExportProgress', () => {
  it('follows pushed events and announces the end once', async () => {
    const { line, fetch, onEnd, progress, goLive } = start()
    await goLive()
    progress.follow(uuid)
    line.push(event('starting', 1, 1))
    line.push(event('writing_file', 50, 3))
    line.push(event('start', 3, 2))
    expect(shown(progress)).toEqual([[uuid, 'writing_file', 50]])
    line.push(event('success', 100, 4, { file_url: '/export/1_a.xlsx' }))
    line.push(event('success', 100, 4, { file_url: '/export/1_a.xlsx' }))
    expect(onEnd.mock.calls.map(([job]) => job.status)).toEqual(['success'])
    await vi.advanceTimersByTimeAsync(10 * silenceLimit)
    expect(fetch, 'an ended job is asked for no more').toHaveBeenCalledTimes(1)
  })

  it('shows a job that another tab started', async () => {
    const { line, progress, goLive, saved } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    line.push({ nonsense: true })
    expect(shown(progress)).toEqual([[uuid, 'writing_file', 20]])
    expect(saved.at(-1)).toEqual([uuid])
  })

  it('takes a replayed end quietly', async () => {
    const { line, onEnd, progress, goLive } = start()
    await goLive()
    line.push(event('success', 100, 9, { replayed: true, file_url: '/export/1_a.xlsx' }))
    expect(shown(progress)).toEqual([[uuid, 'success', 100]])
    expect(onEnd).not.toHaveBeenCalled()
  })

  it('asks every five seconds while the line is down, so the end is never hidden', async () => {
    const { line, fetch, onEnd, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    line.state.value = 'down'
    fetch.mockResolvedValueOnce(record('writing_file', 60)).mockResolvedValueOnce(record('success', 100))
    await vi.advanceTimersByTimeAsync(pollEvery)
    expect(shown(progress)).toEqual([[uuid, 'writing_file', 60]])
    await vi.advanceTimersByTimeAsync(pollEvery)
    expect(shown(progress)).toEqual([[uuid, 'success', 100]])
    expect(onEnd).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(5 * pollEvery)
    expect(fetch).toHaveBeenCalledTimes(2)
  })

  it('makes up for what was missed when the line is back', async () => {
    const { line, fetch, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    line.state.value = 'down'
    await flushPromises()
    fetch.mockResolvedValueOnce(record('before_upload', 90))
    line.state.value = 'up'
    await flushPromises()
    expect(shown(progress)).toEqual([[uuid, 'before_upload', 90]])
  })

  it('asks after a long silence even while the line is up, and not before', async () => {
    const { line, fetch, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    await vi.advanceTimersByTimeAsync(silenceLimit - pollEvery)
    expect(fetch).not.toHaveBeenCalled()
    fetch.mockResolvedValue(record('writing_file', 20))
    await vi.advanceTimersByTimeAsync(2 * pollEvery)
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  it('asks one question at a time', async () => {
    const { line, fetch } = start()
    line.push(event('writing_file', 20, 2))
    fetch.mockReturnValue(new Promise(() => undefined))
    await vi.advanceTimersByTimeAsync(4 * pollEvery)
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  it('brings back what a reload had shown, without announcing it', async () => {
    const line = start([uuid, 'gone'])
    line.fetch.mockReset()
    await flushPromises()
    expect(line.progress.jobs.value.map((job) => job.uuid)).toEqual([uuid, 'gone'])
    line.fetch.mockImplementation((asked) => (asked === 'gone' ? Promise.reject(new ApiError('notFound', 'x')) : Promise.resolve(record('success', 100))))
    await vi.advanceTimersByTimeAsync(pollEvery)
    expect(shown(line.progress)).toEqual([[uuid, 'success', 100]])
    expect(line.saved.at(-1)).toEqual([uuid])
  })

  it('forgets a dismissed job until it is followed again', async () => {
    const { line, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    progress.dismiss(uuid)
    line.push(event('writing_file', 30, 3))
    expect(shown(progress)).toEqual([])
    progress.follow(uuid)
    line.push(event('writing_file', 40, 4))
    expect(shown(progress)).toEqual([[uuid, 'writing_file', 40]])
  })

  it('keeps a few ended jobs, and every running one', async () => {
    const { line, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    for (let i = 0; i < endedKept + 2; i++) line.push(event('success', 100, 1, { uuid: `ended-${i}`, replayed: true }))
    line.push(event('success', 100, 2, { uuid: 'ended-0', replayed: true }))
    expect(progress.jobs.value.map((job) => job.uuid)).toEqual(['ended-6', 'ended-5', 'ended-4', 'ended-3', 'ended-2', uuid])
  })
})
