import { ApiError, fallbackMessage, type ErrorKind } from './errors'

/**
 * The shapes in which the server's systems answer. A, B and E report failures with HTTP 200, C and D with the status as
 * well; native is the export engine's own API: plain JSON, errors as problem documents.
 */
export type Envelope = 'A' | 'B' | 'C' | 'D' | 'E' | 'native'

export interface Answer {
  status: number
  headers: Headers
  /** The decoded JSON; undefined when the body was none. */
  body: unknown
}

type Fields = Record<string, unknown>

/** Takes the data out of an answer, or throws the ApiError that the answer is. */
export function unwrap(envelope: Envelope, answer: Answer): unknown {
  const body = asObject(answer.body)
  const byStatus = kindOfStatus(answer.status)
  if (byStatus !== null) throw failure(byStatus, answer, body)
  if (envelope === 'native') return answer.body
  if (body === null) throw failure('server', answer, body)
  switch (envelope) {
    case 'A':
      if (body.code !== 0) throw failure(kindOfA(body), answer, body)
      return body.data
    case 'B':
    case 'C':
      if (body.status !== 0) throw failure(body.errors ? 'invalid' : 'failed', answer, body)
      return 'data' in body ? body.data : body
    case 'D':
      if (body.code !== 200) throw failure(kindOfStatus(Number(body.code)) ?? 'failed', answer, body)
      return body.data
    case 'E':
      if (body.result !== 1) throw failure('failed', answer, body)
      return body.data
  }
}

/** Code 401 inside an answer of HTTP 200 means "not permitted"; only the HTTP status says that a session is over. */
function kindOfA(body: Fields): ErrorKind {
  if (body.code === 401) return 'forbidden'
  if (body.code === 404) return 'notFound'
  return body.errors || body.error === 'errors/parameter_error' ? 'invalid' : 'failed'
}

function kindOfStatus(status: number): ErrorKind | null {
  if (status >= 200 && status < 300) return null
  switch (status) {
    case 401:
      return 'unauthenticated'
    case 403:
      return 'forbidden'
    case 404:
    case 410:
      return 'notFound'
    case 409:
    case 412:
      return 'conflict'
    case 413:
      return 'tooLarge'
    case 429:
      return 'rateLimited'
    case 503:
      return 'unavailable'
  }
  if (status >= 500) return 'server'
  return status >= 400 ? 'invalid' : 'server'
}

function failure(kind: ErrorKind, { status, headers }: Answer, body: Fields | null): ApiError {
  return new ApiError(kind, messageOf(body) ?? fallbackMessage(kind), {
    status,
    code: codeOf(body),
    fields: fieldsOf(body),
    retryAfter: retryAfter(headers.get('Retry-After')),
    location: headers.get('Location'),
    requestId: headers.get('X-Request-Id'),
  })
}

/** The sentence for people stands under another name in each envelope; `message` is last, since A keeps a code word there. */
function messageOf(body: Fields | null): string | null {
  if (body === null) return null
  for (const name of ['remark', 'msg', 'detail', 'error', 'title', 'message']) {
    const text = body[name]
    if (typeof text === 'string' && text.trim() !== '') return text
  }
  return null
}

function codeOf(body: Fields | null): number | string | null {
  const code = body?.code ?? body?.status
  return typeof code === 'number' || typeof code === 'string' ? code : null
}

function fieldsOf(body: Fields | null): Record<string, string> {
  const fields: Record<string, string> = {}
  if (Array.isArray(body?.errors)) {
    // Problem documents name the fields in a list.
    for (const { field, reason } of body.errors as { field?: unknown; reason?: unknown }[]) {
      if (typeof field === 'string') fields[field] = fields[field] === undefined ? String(reason) : `${fields[field]}，${String(reason)}`
    }
    return fields
  }
  for (const [name, why] of Object.entries(asObject(body?.errors) ?? {})) {
    fields[name] = Array.isArray(why) ? why.join('，') : String(why)
  }
  return fields
}

/** Retry-After is a number of seconds or a date (RFC 9110 section 10.2.3). */
export function retryAfter(value: string | null, now: number = Date.now()): number | null {
  if (value === null || value.trim() === '') return null
  const seconds = Number(value)
  if (Number.isFinite(seconds)) return Math.max(0, seconds)
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, Math.ceil((date - now) / 1000))
}

function asObject(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null
}
