/** A person at an exhibition: the one invited. */
export interface InvitedUser {
  id: number
  phone: string
  company_name: string | null
  department: string | null
  position: string | null
  area: string | null
}

export interface Exhibition {
  id: number
  name: string
}

export interface Invitation {
  id: number
  created_at: string
  approve_status: string
  approve_description: string | null
  user: InvitedUser | null
  recommend_user: { id: number; phone: string } | null
  exhibition: Exhibition | null
  /** The claimed decision; until a job has applied it, approve_status is still applying. */
  decision: Decision | null
  decided_by: { id: number; name: string } | null
  decided_at: string | null
}

export type Decision = 'approved' | 'rejected'

export const decisionNames: Record<Decision, string> = { approved: '通过', rejected: '拒绝' }

/** It is not decided yet. */
export function awaitsDecision({ approve_status, decision }: Invitation): boolean {
  return approve_status === 'applying' && decision === null
}

/** It is decided, and the job that applies it is not through yet. */
export function isBeingDecided({ approve_status, decision }: Invitation): boolean {
  return approve_status === 'applying' && decision !== null
}

export const invitationFilters = [
  'exhibition_id',
  'user_phone',
  'recommend_user_phone',
  'approve_status',
  'created_at_gtq',
  'created_at_ltq',
] as const

export type InvitationFilter = (typeof invitationFilters)[number]
