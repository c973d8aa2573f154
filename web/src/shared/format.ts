/** "2026-01-02T15:04:05.000+08:00" as "2026-01-02 15:04:05": the server's own time zone, not the browser's. */
export function dateTime(value: string | null | undefined): string {
  return value ? value.slice(0, 19).replace('T', ' ') : ''
}

/** 20000 as "20,000". */
export function integer(value: number): string {
  return new Intl.NumberFormat('zh-CN').format(value)
}

/** Bytes as "512 B", "4.1 KB", "12.0 MB"; units of 1024. */
export function fileSize(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  for (const unit of ['KB', 'MB', 'GB']) {
    if (value < 1024) return `${value.toFixed(1)} ${unit}`
    value /= 1024
  }
  return `${value.toFixed(1)} TB`
}

/** A cell without a value shows a dash, so that it is seen to be empty. */
export function orDash(value: string | number | null | undefined): string {
  return value === null || value === undefined || value === '' ? '—' : String(value)
}
