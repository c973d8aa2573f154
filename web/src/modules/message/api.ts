import { request, type QueryValue } from '@/shared/http'
import type { ListResult } from '@/shared/useListPage'
import type { Counts, Message, MessageList } from './types'

export const messagesPath = '/admin/message'

/** Rows of a page; the server takes no other number. */
export const messagesPerPage = 20

interface Page extends Counts {
  data: Message[]
  total: number
}

export async function listMessages(
  list: MessageList,
  query: Record<string, QueryValue>,
  signal?: AbortSignal,
): Promise<ListResult<Message> & { counts: Counts }> {
  const { data, headers } = await request<Page>('E', `${messagesPath}/${list}`, { query, ...(signal ? { signal } : {}) })
  return { rows: data.data, total: data.total, estimated: headers.get('X-Total-Estimated') === '1', counts: data }
}

/** Marks one message; doing it again changes nothing. */
export async function markMessage(id: number, as: 'read' | 'handle'): Promise<Counts> {
  return (await request<Counts>('E', `${messagesPath}/${id}/${as}`, { method: 'POST' })).data
}

/** Marks all messages of the person as read; `changed` is how many were not. */
export async function markAllRead(): Promise<Counts & { changed: number }> {
  return (await request<Counts & { changed: number }>('E', `${messagesPath}/read-all`, { method: 'POST' })).data
}
