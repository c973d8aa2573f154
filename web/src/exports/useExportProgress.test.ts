import { flushPromises } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { fakeRealtime } from '@/realtime/fake'
import { ApiError } from '@/shared/errors'
import type { RememberedJobs } from './memory'
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

function start(remembered: string[] = [], dismissed: string[] = []) {
  const line = fakeRealtime()
  const fetch = vi.fn<(uuid: string) => Promise<ExportRecord>>().mockRejectedValue(new ApiError('network', 'x'))
  const onEnd = vi.fn<(job: ExportJob) => void>()
  const cancel = vi.fn<(uuid: string) => Promise<ExportRecord>>()
  const saved: RememberedJobs[] = []
  const progress = scope.run(() =>
    createExportProgress({
      channel: ref('/export/1-0123456789abcdef0123456789abcdef'),
      memory: { load: () => ({ shown: [...remembered], dismissed: [...dismissed] }), save: (jobs) => saved.push(jobs) },
      onEnd,
      onRefused: vi.fn(),
      fetch,
      cancel,
      connection: () => line.connection,
    }),
  )!
  async function goLive(): Promise<void> {
    line.state.value = 'up'
    line.open[0]?.accept()
    await flushPromises()
  }
  return { line, fetch, cancel, onEnd, saved, progress, goLive }
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
    expect(saved.at(-1)?.shown).toEqual([uuid])
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
    await flushPromises()
    fetch.mockClear()
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
    await flushPromises()
    fetch.mockClear()
    await vi.advanceTimersByTimeAsync(silenceLimit - pollEvery)
    expect(fetch).not.toHaveBeenCalled()
    fetch.mockResolvedValue(record('writing_file', 20))
    await vi.advanceTimersByTimeAsync(2 * pollEvery)
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  it('shows no time left that has passed in silence, and asks', async () => {
    const { line, fetch, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 31, 2, { eta_seconds: 2 }))
    await flushPromises()
    expect(progress.jobs.value[0]?.etaSeconds).toBe(2)
    fetch.mockClear()
    fetch.mockResolvedValue({ ...record('queued', 31), event: event('writing_file', 31, 2) })
    await vi.advanceTimersByTimeAsync(2 * pollEvery)
    expect(fetch).toHaveBeenCalledTimes(1)
    expect(progress.jobs.value[0]).toMatchObject({ status: 'queued', etaSeconds: null })
  })

  it('asks one question at a time', async () => {
    const { line, fetch } = start()
    line.push(event('writing_file', 20, 2))
    await flushPromises()
    fetch.mockClear()
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
    expect(line.saved.at(-1)?.shown).toEqual([uuid])
  })

  it('drops a dismissed job until it is followed again', async () => {
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

  it('asks once for what events do not carry', async () => {
    const { line, fetch, progress, goLive } = start()
    await goLive()
    fetch.mockResolvedValueOnce({ ...record('writing_file', 10), format: 'csv', created_at: '2026-01-02T15:04:05.000+08:00' })
    line.push(event('writing_file', 20, 2))
    await flushPromises()
    line.push(event('writing_file', 30, 3))
    await flushPromises()
    expect(progress.jobs.value[0]).toMatchObject({ format: 'csv', createdAt: '2026-01-02T15:04:05.000+08:00', progress: 30, status: 'writing_file' })
    expect(fetch).toHaveBeenCalledTimes(1)
  })

  it('keeps dismissed jobs away after a reload, whatever is replayed', async () => {
    const before = start()
    await before.goLive()
    before.line.push(event('success', 100, 9))
    before.progress.dismiss(uuid)
    const { shown: left, dismissed } = before.saved.at(-1)!
    expect([left, dismissed]).toEqual([[], [uuid]])

    const { line, progress, goLive } = start(left, dismissed)
    await goLive()
    line.push(event('success', 100, 9, { replayed: true }))
    expect(shown(progress)).toEqual([])
  })

  it('cancels, quietly: the person knows', async () => {
    const { line, cancel, onEnd, progress, goLive } = start()
    await goLive()
    line.push(event('queued', 0, 1))
    cancel.mockResolvedValueOnce(record('cancelled', 0))
    await progress.cancel(uuid)
    expect(shown(progress)).toEqual([[uuid, 'cancelled', 0]])
    expect(onEnd).not.toHaveBeenCalled()
  })

  it('shows a running job as running until its end is published', async () => {
    const { line, cancel, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    cancel.mockResolvedValueOnce(record('writing_file', 20))
    await progress.cancel(uuid)
    expect(shown(progress)).toEqual([[uuid, 'writing_file', 20]])
    line.push(event('cancelled', 20, 3))
    expect(shown(progress)).toEqual([[uuid, 'cancelled', 20]])
  })

  it('finds out what became of a job that could not be cancelled', async () => {
    const { line, fetch, cancel, progress, goLive } = start()
    await goLive()
    line.push(event('writing_file', 20, 2))
    await flushPromises()
    cancel.mockRejectedValueOnce(new ApiError('conflict', '任务已经结束'))
    fetch.mockResolvedValueOnce(record('success', 100))
    await expect(progress.cancel(uuid)).rejects.toMatchObject({ kind: 'conflict' })
    await flushPromises()
    expect(shown(progress)).toEqual([[uuid, 'success', 100]])
  })

  it('shows a file that is gone as gone', async () => {
    const { fetch, progress } = start([uuid])
    fetch.mockResolvedValueOnce(record('expired', 100))
    await vi.advanceTimersByTimeAsync(pollEvery)
    expect(shown(progress)).toEqual([[uuid, 'expired', 100]])
    expect(progress.jobs.value[0]?.fileUrl).toBeNull()
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
