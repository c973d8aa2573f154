/** What went wrong, as far as the page acts differently on it. */
export type ErrorKind =
  | 'unauthenticated' // the session is over: the guard leads to the login page
  | 'forbidden'
  | 'invalid' // `fields` may name what to correct
  | 'notFound'
  | 'conflict'
  | 'tooLarge'
  | 'rateLimited'
  | 'unavailable'
  | 'failed' // the server said why in `message`
  | 'server'
  | 'network'

export interface ApiErrorDetails {
  status?: number
  code?: number | string | null
  fields?: Record<string, string>
  retryAfter?: number | null
  location?: string | null
  requestId?: string | null
}

/** An answer that is not a success. `message` is Chinese and meant to be shown. */
export class ApiError extends Error {
  readonly kind: ErrorKind
  /** HTTP status, 0 when there was no answer. */
  readonly status: number
  /** The envelope's own code, null when it carries none. */
  readonly code: number | string | null
  readonly fields: Record<string, string>
  /** Seconds until another try makes sense, null when the server did not say. */
  readonly retryAfter: number | null
  /** What the server points to, such as the job that is in the way. */
  readonly location: string | null
  readonly requestId: string | null

  constructor(kind: ErrorKind, message: string, details: ApiErrorDetails = {}) {
    super(message)
    this.name = 'ApiError'
    this.kind = kind
    this.status = details.status ?? 0
    this.code = details.code ?? null
    this.fields = details.fields ?? {}
    this.retryAfter = details.retryAfter ?? null
    this.location = details.location ?? null
    this.requestId = details.requestId ?? null
  }
}

const fallbackMessages: Record<ErrorKind, string> = {
  unauthenticated: '登录已失效，请重新登录',
  forbidden: '没有权限执行此操作',
  invalid: '提交的内容有误',
  notFound: '内容不存在或已被删除',
  conflict: '内容已被他人修改，请刷新后再试',
  tooLarge: '提交的内容过大',
  rateLimited: '操作过于频繁',
  unavailable: '服务暂时不可用',
  failed: '操作失败',
  server: '服务器出错了，请稍后再试',
  network: '无法连接服务器，请检查网络后再试',
}

export function fallbackMessage(kind: ErrorKind): string {
  return fallbackMessages[kind]
}

/** Any thrown value as an ApiError, so that a page has one thing to show. */
export function toApiError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause
  return new ApiError('server', fallbackMessages.server)
}

/** A request that was given up because a newer one replaced it is not an error to show. */
export function isAbort(cause: unknown): boolean {
  return cause instanceof DOMException && cause.name === 'AbortError'
}

/** "30 秒", "5 分钟", "3 小时": rounded up, for a person who waits. */
export function waitText(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} 秒`
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} 分钟`
  return `${Math.ceil(seconds / 3600)} 小时`
}

/** What people call the fields of a request. */
export type FieldLabels = Readonly<Record<string, string>>

const commonLabels: FieldLabels = {
  page: '页码',
  per_page: '每页数量',
  page_size: '每页数量',
  export_format: '导出格式',
  ids: '所选记录',
  approve_description: '审批原因',
}

function fieldTexts({ fields }: ApiError, labels: FieldLabels, between: string): string[] {
  return Object.entries(fields).map(([field, why]) => `${labels[field] ?? commonLabels[field] ?? field}${between}${why}`)
}

/** A message that only lists the fields by their technical names: the form shows the same under the labels of the fields. */
function listsFields({ message, fields }: ApiError): boolean {
  return Object.keys(fields).some((field) => message === field || message.startsWith(`${field} `))
}

/** The first line of an error message. */
export function errorTitle(error: ApiError, labels: FieldLabels = {}): string {
  return listsFields(error) ? fieldTexts(error, labels, ' ').join(';') : error.message
}

/** The second line of an error message: the fields to correct, when to come back, what to quote to support. */
export function errorHint(error: ApiError, labels: FieldLabels = {}): string {
  const parts = listsFields(error) ? [] : fieldTexts(error, labels, ':')
  if (error.retryAfter !== null) parts.push(`请在 ${waitText(error.retryAfter)}后再试`)
  if (error.requestId !== null && (error.kind === 'server' || error.kind === 'unavailable')) {
    parts.push(`请求编号 ${error.requestId}`)
  }
  return parts.join(';')
}
