import { request, type QueryValue } from '@/shared/http'
import type { ListResult } from '@/shared/useListPage'
import type { Exhibition, Invitation, Decision } from './types'

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

const decisionPaths: Record<Decision, string> = { approved: 'approve', rejected: 'reject' }

/** Decides about one invitation; the answer is the invitation with the decision, not yet applied. */
export async function decide(id: number, decision: Decision, reason: string): Promise<Invitation> {
  const body = { approve_description: reason }
  return (await request<Invitation>('A', `${invitationsPath}/${id}/${decisionPaths[decision]}`, { method: 'PUT', body })).data
}

/** An accepted decision about several invitations. */
export interface BulkDecision {
  /** The job that applies it, null when nothing was left to decide. */
  uuid: string | null
  total: number
  /** Decided already, or unknown. */
  not_claimed: number[]
}

/** The most invitations of one decision. */
export const mostAtOnce = 1000

export async function decideAll(ids: number[], decision: Decision, reason: string): Promise<BulkDecision> {
  const body = { ids, approve_description: reason }
  return (await request<BulkDecision>('A', `${invitationsPath}/${decisionPaths[decision]}`, { method: 'PUT', body })).data
}
