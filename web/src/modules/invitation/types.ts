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
