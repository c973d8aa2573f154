import type { ExportEvent, ExportJob, ExportRecord, ExportStatus } from './types'

const ends: ReadonlySet<string> = new Set<ExportStatus>(['success', 'failure', 'cancelled', 'expired'])

export const stageLabels: Record<ExportStatus, string> = {
  queued: '排队等待中',
  starting: '准备开始',
  start: '开始导出',
  writing_file: '正在写入文件',
  before_upload: '文件已生成，准备上传',
  uploading: '正在上传文件',
  upload_failure: '上传文件失败',
  success: '导出完成',
  failure: '导出失败',
  cancelled: '已取消',
  expired: '文件已过期',
}

export function isEnded(status: ExportStatus): boolean {
  return ends.has(status)
}

export function newJob(uuid: string): ExportJob {
  return {
    uuid,
    status: 'queued',
    progress: 0,
    service: '',
    count: null,
    rows: null,
    fileSize: null,
    fileUrl: null,
    filename: null,
    format: null,
    createdAt: null,
    changed: null,
    error: null,
    attempt: 1,
    uploadAttempt: 1,
    etaSeconds: null,
    position: null,
    seq: null,
  }
}

/**
 * The job after an event. Events may come twice, late and out of order (a replay beside the live stream): older ones
 * change nothing, within an attempt progress never goes back, and after the end nothing counts.
 */
export function applyEvent(job: ExportJob, event: ExportEvent): ExportJob {
  if (event.uuid !== job.uuid || isEnded(job.status) || isOlder(job, event)) return job
  const attempt = event.attempt ?? job.attempt
  const again = attempt > job.attempt
  return {
    uuid: job.uuid,
    status: event.status,
    progress: again || isEnded(event.status) ? event.progress : Math.max(job.progress, event.progress),
    service: event.service || job.service,
    count: event.count ?? (again ? null : job.count),
    rows: event.rows ?? (again ? null : job.rows),
    fileSize: event.file_size ?? (again ? null : job.fileSize),
    fileUrl: event.file_url,
    filename: event.filename ?? job.filename,
    format: job.format,
    createdAt: job.createdAt,
    changed: event.changed ?? null,
    error: event.error ?? null,
    attempt,
    uploadAttempt: event.upload_attempt ?? 1,
    etaSeconds: event.eta_seconds ?? null,
    position: event.position ?? null,
    seq: event.seq ?? job.seq,
  }
}

function isOlder(job: ExportJob, event: ExportEvent): boolean {
  if (event.seq !== undefined && job.seq !== null) return event.seq <= job.seq
  if (event.attempt !== undefined && event.attempt !== job.attempt) return event.attempt < job.attempt
  return !isEnded(event.status) && event.progress < job.progress
}

/**
 * The job after asking for its record. Its latest event goes the way of all events; beyond that the record itself is
 * the truth about the end, since the event of the end may be lost.
 */
export function applyRecord(before: ExportJob, record: ExportRecord): ExportJob {
  if (record.uuid !== before.uuid) return before
  const job = withDetails(before, record)
  if (record.status === 'expired') {
    return { ...job, status: 'expired', progress: 100, service: record.service || job.service, count: record.count, fileSize: record.file_size, fileUrl: null, error: null }
  }
  const next = record.event === null ? job : applyEvent(job, record.event)
  // No worker has it: the row says so before any event does. What was pushed since is newer than the row.
  if (record.status === 'queued' && record.event !== null && record.event.status !== 'queued' && next.seq === (record.event.seq ?? null)) {
    return { ...next, status: 'queued', etaSeconds: null }
  }
  if (isEnded(next.status) || (record.event !== null && !isEnded(record.status))) return next
  const { event: _, ...row } = record
  return applyEvent(next, row)
}

/** What only the record knows, and what never changes. */
function withDetails(job: ExportJob, { format, created_at, filename }: ExportRecord): ExportJob {
  const next = { format: format ?? job.format, createdAt: created_at ?? job.createdAt, filename: job.filename ?? filename }
  const same = next.format === job.format && next.createdAt === job.createdAt && next.filename === job.filename
  return same ? job : { ...job, ...next }
}

/** The answer of GET /api/exports/{uuid}, or null when it can't be one. */
export function parseRecord(data: unknown): ExportRecord | null {
  if (typeof data !== 'object' || data === null) return null
  const fields = data as Record<string, unknown>
  const { uuid, status } = fields
  if (typeof uuid !== 'string' || !isStatus(status)) return null
  const record: ExportRecord = {
    uuid,
    status: status === 'success' && fields.expired === true ? 'expired' : status,
    service: text(fields.service) ?? '',
    filename: text(fields.filename),
    format: text(fields.format),
    created_at: text(fields.created_at),
    progress: number(fields.progress) ?? (status === 'success' ? 100 : 0),
    count: number(fields.count),
    file_size: number(fields.file_size),
    file_url: webAddress(fields.file_url),
    error: reason(fields.error),
    changed: text(fields.changed),
    event: parseEvent(fields.event),
  }
  const attempt = number(fields.attempt)
  return attempt === null ? record : { ...record, attempt }
}

/** What came over the wire as an event, or null when it is none. Unknown fields are left alone. */
export function parseEvent(data: unknown): ExportEvent | null {
  if (typeof data !== 'object' || data === null) return null
  const fields = data as Record<string, unknown>
  const { uuid, status, progress } = fields
  if (typeof uuid !== 'string' || uuid === '' || !isStatus(status)) return null
  if (typeof progress !== 'number' || !Number.isFinite(progress)) return null
  const event: ExportEvent = {
    status,
    file_url: webAddress(fields.file_url),
    progress: Math.min(100, Math.max(0, progress)),
    service: text(fields.service) ?? '',
    uuid,
    count: number(fields.count),
    file_size: number(fields.file_size),
    rows: number(fields.rows),
    eta_seconds: number(fields.eta_seconds),
    position: number(fields.position),
    filename: text(fields.filename),
    changed: text(fields.changed),
    error: reason(fields.error),
    replayed: fields.replayed === true,
  }
  const seq = number(fields.seq)
  const attempt = number(fields.attempt)
  const uploadAttempt = number(fields.upload_attempt)
  if (seq !== null) event.seq = seq
  if (attempt !== null) event.attempt = attempt
  if (uploadAttempt !== null) event.upload_attempt = uploadAttempt
  return event
}

/** A link is shown only when it leads to a file on the web: the text becomes an href. */
export function webAddress(value: unknown): string | null {
  if (typeof value !== 'string') return null
  try {
    return ['http:', 'https:'].includes(new URL(value, window.location.href).protocol) ? value : null
  } catch {
    return null
  }
}

/** A stage we know; a name that every object has, such as "toString", is none. */
function isStatus(value: unknown): value is ExportStatus {
  return typeof value === 'string' && Object.hasOwn(stageLabels, value)
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null
}

/** Why it failed, in words: an object with a code for machines beside the message, or the bare sentence. */
function reason(value: unknown): string | null {
  return text(typeof value === 'object' && value !== null ? (value as Record<string, unknown>).message : value)
}
