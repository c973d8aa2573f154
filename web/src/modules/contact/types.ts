export interface Contact {
  id: number
  name: string
  position: string
  /** Phone or WeChat, as it was collected. */
  contact: string
  reply_status: string
  wechat_exchanged: boolean
  account_id: number | null
  worker_id: string | null
  notes: string
  contacted_at: string | null
  created_at: string
  /** Counts the changes: a change that names an older one is refused. */
  version: number
}

export const contactFilters = ['search', 'reply_status', 'wechat_exchanged', 'start_date', 'end_date'] as const

export type ContactFilter = (typeof contactFilters)[number]

/** What the form holds: empty texts and null are unset. */
export interface ContactForm {
  name: string
  contact: string
  position: string
  reply_status: string
  wechat_exchanged: boolean
  account_id: number | null
  worker_id: string
  notes: string
  /** "2026-01-02T15:04:05", the server's own time zone. */
  contacted_at: string | null
}

export const contactLabels: Record<keyof ContactForm, string> = {
  name: '姓名',
  contact: '联系方式',
  position: '岗位',
  reply_status: '回复状态',
  wechat_exchanged: '是否交换微信',
  account_id: '账号',
  worker_id: 'Worker ID',
  notes: '备注',
  contacted_at: '联系时间',
}

/** What became of an import, line by line. */
export interface ImportReport {
  total: number
  created: number
  updated: number
  unchanged: number
  failed: number
  /** The first hundred problems; the field is empty where the whole line is wrong. */
  errors: { line: number; field: string; reason: string }[]
}
