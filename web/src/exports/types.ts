/** The stages of an export, in the order in which they come; the last three end it. */
export type ExportStatus =
  | 'queued'
  | 'starting'
  | 'start'
  | 'writing_file'
  | 'before_upload'
  | 'uploading'
  | 'upload_failure'
  | 'success'
  | 'failure'
  | 'cancelled'
  /** Never pushed: it succeeded, and its file is gone by now. */
  | 'expired'

export type ExportFormat = 'xlsx' | 'csv'

/** One pushed event. The first seven fields are always there; older servers send no others. */
export interface ExportEvent {
  status: ExportStatus
  file_url: string | null
  /** Percent. */
  progress: number
  service: string
  uuid: string
  /** Rows the export will have; null until they are counted. */
  count: number | null
  /** Bytes; null until the file is complete. */
  file_size: number | null
  /** Rises with every event of a job, over all its attempts. */
  seq?: number
  attempt?: number
  upload_attempt?: number
  /** Rows written so far. */
  rows?: number | null
  eta_seconds?: number | null
  /** Place in the queue, 1 is next. */
  position?: number | null
  filename?: string | null
  /** What of the data the file holds otherwise (cut, replaced), in words; null when nothing. */
  changed?: string | null
  /** Why it failed, in words. */
  error?: string | null
  /** Replayed to a late subscriber: nothing to announce. */
  replayed?: boolean
}

/** The answer of GET /api/exports/{uuid}, as far as the page needs it. */
export interface ExportRecord {
  uuid: string
  status: ExportStatus
  service: string
  filename: string | null
  progress: number
  count: number | null
  file_size: number | null
  file_url: string | null
  error: string | null
  changed?: string | null
  attempt?: number
  format?: string | null
  created_at?: string | null
  /** The latest event; null when there is none yet. */
  event: ExportEvent | null
}

/** What the page knows of one job. */
export interface ExportJob {
  uuid: string
  status: ExportStatus
  progress: number
  service: string
  count: number | null
  rows: number | null
  fileSize: number | null
  fileUrl: string | null
  filename: string | null
  /** As the record says; null until it has been asked. */
  format: string | null
  /** When it was queued, in the server's words; null until the record has been asked. */
  createdAt: string | null
  /** What of the data the file holds otherwise, in words. */
  changed: string | null
  error: string | null
  attempt: number
  uploadAttempt: number
  etaSeconds: number | null
  position: number | null
  /** Null before the first numbered event. */
  seq: number | null
}
