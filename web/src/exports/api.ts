import { request, type QueryValue } from '@/shared/http'
import type { Envelope } from '@/shared/envelope'
import { ApiError, fallbackMessage } from '@/shared/errors'
import { parseRecord } from './progress'
import type { ExportFormat, ExportRecord } from './types'

export interface Queued {
  uuid: string
  /** Exports left today, null when the server did not say. */
  remaining: number | null
}

/** Queues an export of everything a list's filters match. Refusals are ApiErrors whose location may name the job in the way. */
export async function queueExport(
  envelope: Envelope,
  path: string,
  filters: Record<string, QueryValue>,
  format: ExportFormat,
): Promise<Queued> {
  const { data, headers } = await request<{ uuid: string }>(envelope, path, { query: { ...filters, export_format: format } })
  const remaining = headers.get('RateLimit-Remaining')
  return { uuid: data.uuid, remaining: remaining !== null && /^\d+$/.test(remaining) ? Number(remaining) : null }
}

export async function fetchExport(uuid: string): Promise<ExportRecord> {
  const { data } = await request<unknown>('native', `/api/exports/${encodeURIComponent(uuid)}`)
  const record = parseRecord(data)
  if (record === null) throw new ApiError('server', fallbackMessage('server'))
  return record
}

/**
 * Asks for the end of a job: one that waits is cancelled at once, one that runs within seconds. The answer is the record
 * in its present state; a job that has ended is a conflict.
 */
export async function cancelExport(uuid: string): Promise<ExportRecord> {
  const { data } = await request<unknown>('native', `/api/exports/${encodeURIComponent(uuid)}`, { method: 'DELETE' })
  const record = parseRecord(data)
  if (record === null) throw new ApiError('server', fallbackMessage('server'))
  return record
}

/** The job that a Location header names: ".../api/exports/<uuid>", relative or absolute. */
export function jobOfLocation(location: string | null): string | null {
  return location === null ? null : (/\/api\/exports\/([0-9A-Za-z-]+)(?:[/?#]|$)/.exec(location)?.[1] ?? null)
}
