import { unwrap, type Envelope } from './envelope'
import { ApiError, fallbackMessage } from './errors'

export type QueryValue = string | number | boolean | null | undefined

export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Empty values are left out: the server takes an empty parameter for an absent one. */
  query?: Record<string, QueryValue>
  /** Sent as JSON; a file is sent as it is, as JSON Lines. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Leaves an ended session to the caller: the very first question "who am I" is no surprise. */
  quietUnauthenticated?: boolean
}

export interface Reply<T> {
  data: T
  headers: Headers
}

type Listener = () => void
const unauthenticatedListeners = new Set<Listener>()

/** Calls back whenever an answer shows that the session is over. The result stops it. */
export function onUnauthenticated(listener: Listener): () => void {
  unauthenticatedListeners.add(listener)
  return () => unauthenticatedListeners.delete(listener)
}

/**
 * The one way from the page to the server. It carries the session cookie, takes the data out of the envelope and throws
 * an ApiError for everything that is not a success. T is what the caller expects inside; the server's contract vouches
 * for it.
 */
export async function request<T>(envelope: Envelope, path: string, options: RequestOptions = {}): Promise<Reply<T>> {
  const response = await send(path, options)
  const body = await decode(response)
  try {
    const data = unwrap(envelope, { status: response.status, headers: response.headers, body }) as T
    return { data, headers: response.headers }
  } catch (error) {
    if (error instanceof ApiError && error.kind === 'unauthenticated' && !options.quietUnauthenticated) {
      unauthenticatedListeners.forEach((listener) => listener())
    }
    throw error
  }
}

async function send(path: string, { method = 'GET', query, body, headers: more, signal }: RequestOptions): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', ...more }
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' }
  if (signal) init.signal = signal
  if (body instanceof Blob) {
    headers['Content-Type'] = 'application/x-ndjson'
    init.body = body
  } else if (body !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.body = JSON.stringify(body)
  }
  try {
    return await fetch(path + queryString(query), init)
  } catch (cause) {
    if (signal?.aborted) throw cause
    throw new ApiError('network', fallbackMessage('network'))
  }
}

/** A body that is not JSON, such as a proxy's error page, counts as none: the status still says what happened. */
async function decode(response: Response): Promise<unknown> {
  const text = await response.text()
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

export function queryString(query: Record<string, QueryValue> = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}
