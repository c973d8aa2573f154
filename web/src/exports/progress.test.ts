import { describe, expect, it } from 'vitest'
import { applyEvent, applyRecord, isEnded, newJob, parseEvent, parseRecord, stageLabels, webAddress } from './progress'
import type { ExportEvent, ExportJob, ExportRecord, ExportStatus } from './types'

const uuid = '5f0c1f0e-0000-4000-8000-000000000001'

function event(status: ExportStatus, progress: number, more: Partial<ExportEvent> = {}): ExportEvent {
  return { status, progress, file_url: null, service: 'Exports::Invitation', uuid, count: null, file_size: null, ...more }
}

const play = (events: ExportEvent[], from: ExportJob = newJob(uuid)): ExportJob => events.reduce(applyEvent, from)

describe('applyEvent', () => {
  it('follows a job from the queue to its file', () => {
    const stages: ExportEvent[] = [
      event('queued', 0, { seq: 1, position: 2 }),
      event('starting', 1, { seq: 2, attempt: 1 }),
      event('start', 3, { seq: 3, count: 6 }),
      event('writing_file', 73, { seq: 4, count: 6, rows: 4, eta_seconds: 2 }),
      event('before_upload', 90, { seq: 5, count: 6, file_size: 4202 }),
      event('success', 100, { seq: 6, count: 6, file_size: 4202, file_url: 'http://127.0.0.1/export/1_a.xlsx?s=x', filename: '邀请记录.xlsx' }),
    ]
    expect(play(stages.slice(0, 1))).toMatchObject({ status: 'queued', position: 2, progress: 0 })
    expect(play(stages.slice(0, 4))).toMatchObject({ status: 'writing_file', progress: 73, count: 6, rows: 4, etaSeconds: 2, position: null })
    expect(play(stages)).toMatchObject({ status: 'success', progress: 100, fileSize: 4202, fileUrl: 'http://127.0.0.1/export/1_a.xlsx?s=x', filename: '邀请记录.xlsx', seq: 6 })
  })

  it('ignores an older and a repeated event', () => {
    const job = play([event('writing_file', 50, { seq: 9, count: 6 })])
    expect(applyEvent(job, event('start', 3, { seq: 3 }))).toBe(job)
    expect(applyEvent(job, event('writing_file', 50, { seq: 9, count: 6 }))).toBe(job)
  })

  it('ignores an event that is replayed beside newer live ones', () => {
    const job = play([event('writing_file', 80, { seq: 12 }), event('writing_file', 40, { seq: 7, replayed: true })])
    expect(job.progress).toBe(80)
  })

  it('never goes back within an attempt', () => {
    expect(play([event('writing_file', 50, { seq: 4, attempt: 1 }), event('writing_file', 40, { seq: 5, attempt: 1 })]).progress).toBe(50)
  })

  it('may go back with a new attempt, and drops what the last one counted', () => {
    const job = play([
      event('before_upload', 90, { seq: 10, attempt: 1, count: 6, rows: 6, file_size: 4202 }),
      event('starting', 1, { seq: 1001, attempt: 2 }),
    ])
    expect(job).toMatchObject({ status: 'starting', progress: 1, attempt: 2, count: null, rows: null, fileSize: null })
    expect(applyEvent(job, event('before_upload', 90, { seq: 11, attempt: 1 }))).toBe(job)
  })

  it('orders events without numbers by attempt and progress', () => {
    const job = play([event('writing_file', 60)])
    expect(applyEvent(job, event('start', 3))).toBe(job)
    expect(applyEvent(job, event('starting', 1, { attempt: 2 }))).toMatchObject({ status: 'starting', progress: 1 })
    expect(applyEvent({ ...job, attempt: 3 }, event('writing_file', 80, { attempt: 2 }))).toMatchObject({ progress: 60 })
    expect(applyEvent(job, event('failure', 3, { error: '磁盘已满' }))).toMatchObject({ status: 'failure', progress: 3, error: '磁盘已满' })
  })

  it.each(['success', 'failure', 'cancelled'] as const)('ends once: nothing comes after %s', (status) => {
    const ended = play([event(status, 100, { seq: 5 })])
    expect(isEnded(ended.status)).toBe(true)
    for (const later of [event('writing_file', 50, { seq: 6 }), event('starting', 1, { seq: 2001, attempt: 2 }), event('success', 100, { seq: 7 })]) {
      expect(applyEvent(ended, later)).toBe(ended)
    }
  })

  it('goes on after a failed upload to the failure that follows', () => {
    const job = play([event('before_upload', 90, { seq: 5, file_size: 9, upload_attempt: 3 }), event('upload_failure', 90, { seq: 6, file_size: 9 })])
    expect(isEnded(job.status)).toBe(false)
    expect(applyEvent(job, event('failure', 90, { seq: 7, error: '存储不可用' }))).toMatchObject({ status: 'failure', fileSize: 9, error: '存储不可用' })
  })

  it('leaves other jobs alone', () => {
    const job = newJob(uuid)
    expect(applyEvent(job, event('success', 100, { uuid: 'other' }))).toBe(job)
  })
})

describe('applyRecord', () => {
  const record = (status: ExportStatus, more: Partial<ExportRecord> = {}): ExportRecord => ({
    uuid,
    status,
    service: '',
    filename: null,
    progress: 0,
    count: null,
    file_size: null,
    file_url: null,
    error: null,
    event: null,
    ...more,
  })

  it('applies the latest event as if it had been pushed', () => {
    const job = applyRecord(newJob(uuid), record('writing_file', { event: event('writing_file', 40, { seq: 8, rows: 3 }) }))
    expect(job).toMatchObject({ status: 'writing_file', progress: 40, seq: 8, rows: 3 })
    expect(applyRecord({ ...job, progress: 60, seq: 9 }, record('writing_file', { event: event('writing_file', 40, { seq: 8 }) })).progress).toBe(60)
  })

  it('takes the end from the row when its event is lost', () => {
    const job = play([event('writing_file', 80, { seq: 9, count: 6 })])
    const lost = record('success', { progress: 100, count: 6, file_size: 10, file_url: '/export/1_a.xlsx', event: event('writing_file', 80, { seq: 9 }) })
    expect(applyRecord(job, lost)).toMatchObject({ status: 'success', progress: 100, fileSize: 10, fileUrl: '/export/1_a.xlsx', service: 'Exports::Invitation' })
    expect(applyRecord(job, { ...lost, event: null })).toMatchObject({ status: 'success' })
  })

  it('works from the row alone while there is no event yet', () => {
    expect(applyRecord(newJob(uuid), record('start', { progress: 3, count: 6, attempt: 2 }))).toMatchObject({ status: 'start', progress: 3, count: 6, attempt: 2 })
  })

  it('shows a job that has lost its worker as waiting, until its next event', () => {
    const job = play([event('writing_file', 31, { seq: 9, eta_seconds: 2 })])
    const lost = record('queued', { progress: 31, event: event('writing_file', 31, { seq: 9 }) })
    const waiting = applyRecord(job, lost)
    expect(waiting).toMatchObject({ status: 'queued', progress: 31, etaSeconds: null })
    expect(applyEvent(waiting, event('writing_file', 33, { seq: 10, eta_seconds: 1 }))).toMatchObject({ status: 'writing_file', etaSeconds: 1 })
    const newer = play([event('writing_file', 31, { seq: 9 }), event('writing_file', 33, { seq: 10 })])
    expect(applyRecord(newer, lost), 'what was pushed since is newer').toMatchObject({ status: 'writing_file', progress: 33 })
  })

  it('takes the link away when the file has expired', () => {
    const job = play([event('success', 100, { seq: 5, file_url: '/export/1_a.xlsx' })])
    expect(applyRecord(job, record('expired', { progress: 100 }))).toMatchObject({ status: 'expired', fileUrl: null })
  })

  it('leaves other jobs alone', () => {
    const job = newJob(uuid)
    expect(applyRecord(job, record('success', { uuid: 'other' }))).toBe(job)
  })
})

describe('parseEvent', () => {
  it('reads the seven fields of an old server', () => {
    expect(parseEvent({ status: 'writing_file', file_url: null, progress: 73, service: 'Exports::Invitation', uuid, count: 6, file_size: null })).toMatchObject({
      status: 'writing_file',
      progress: 73,
      count: 6,
      replayed: false,
    })
  })

  it('keeps the order numbers absent when they are', () => {
    expect(Object.keys(parseEvent(event('start', 3)) ?? {})).not.toContain('seq')
    expect(parseEvent({ ...event('start', 3), seq: 4, attempt: 2, upload_attempt: 3 })).toMatchObject({ seq: 4, attempt: 2, upload_attempt: 3 })
  })

  it.each([
    null,
    undefined,
    'text',
    {},
    { ...event('start', 3), uuid: 7 },
    { ...event('start', 3), uuid: '' },
    { ...event('start', 3), status: 'resting' },
    { ...event('start', 3), status: 'toString' },
    { ...event('start', 3), progress: '3' },
    { ...event('start', 3), progress: Number.NaN },
  ])('refuses %o', (data) => expect(parseEvent(data)).toBeNull())

  it('keeps progress within its bounds and links on the web', () => {
    expect(parseEvent(event('start', 300))?.progress).toBe(100)
    expect(parseEvent(event('start', -3))?.progress).toBe(0)
    expect(parseEvent(event('success', 100, { file_url: 'javascript:alert(1)' }))?.file_url).toBeNull()
  })
})

describe('parseRecord', () => {
  it('fills in what is not there', () => {
    expect(parseRecord({ uuid, status: 'success' })).toEqual({ uuid, status: 'success', service: '', filename: null, format: null, created_at: null, progress: 100, count: null, file_size: null, file_url: null, error: null, changed: null, event: null })
    expect(parseRecord({ uuid, status: 'queued', attempt: 2, event: event('queued', 0, { seq: 1 }) })).toMatchObject({ progress: 0, attempt: 2, event: { seq: 1 } })
  })

  it('reads why it failed, and that its file is gone', () => {
    expect(parseRecord({ uuid, status: 'failure', error: { code: 'disk_full', message: '磁盘已满' } })?.error).toBe('磁盘已满')
    expect(parseRecord({ uuid, status: 'failure', error: '磁盘已满' })?.error).toBe('磁盘已满')
    expect(parseRecord({ uuid, status: 'success', expired: true, service: 'Exports::Invitation' })).toMatchObject({ status: 'expired', service: 'Exports::Invitation' })
    expect(parseRecord({ uuid, status: 'failure', expired: true })?.status).toBe('failure')
    expect(parseEvent({ ...event('failure', 90), error: { code: 'disk_full', message: '磁盘已满' } })?.error).toBe('磁盘已满')
  })

  it.each([null, 'x', {}, { uuid }, { uuid, status: 'unheard_of' }])('refuses %o', (data) => expect(parseRecord(data)).toBeNull())
})

describe('webAddress', () => {
  it.each([
    ['https://files.example.com/export/1_a.xlsx?s=x', true],
    ['/export/1_a.xlsx?s=x', true],
    ['javascript:alert(1)', false],
    ['data:text/html,x', false],
    ['http://', false],
    [7, false],
  ])('%o', (value, ok) => expect(webAddress(value)).toBe(ok ? value : null))
})

it('has a Chinese label for every stage', () => {
  for (const label of Object.values(stageLabels)) expect(label).toMatch(/^[\u4e00-\u9fff，]+$/)
})
