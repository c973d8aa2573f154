import { request, type QueryValue } from '@/shared/http'
import type { ListResult } from '@/shared/useListPage'
import type { Exhibition, Invitation } from './types'

export const invitationsPath = '/api/admin/invitations'

interface Models<T> {
  total_count: number
  models: T[]
}

export async function listInvitations(query: Record<string, QueryValue>, signal: AbortSignal): Promise<ListResult<Invitation>> {
  const { data, headers } = await request<Models<Invitation>>('A', invitationsPath, { query, signal })
  return { rows: data.models, total: data.total_count, estimated: headers.get('X-Total-Estimated') === '1' }
}

/** The first exhibitions whose name contains the text. */
export async function searchExhibitions(name: string, signal: AbortSignal): Promise<Exhibition[]> {
  const { data } = await request<Models<Exhibition>>('A', '/api/admin/exhibitions', { query: { name, per_page: 50 }, signal })
  return data.models
}
