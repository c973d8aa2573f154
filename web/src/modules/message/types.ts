/** One event for one person. */
export interface Message {
  id: number
  plugin: string
  notice_type: string
  /** 1 while somebody has to do something about it. */
  handle_status: 0 | 1
  /** 1 once it has been read. */
  status: 0 | 1
  created_at: string
  message_body: { head: string; title: string; content: string; project_name: string }
  send_staff: { name: string }
}

/** The three lists, by the last segment of their addresses. */
export const messageLists = ['unread', 'read', 'waitHandle'] as const

export type MessageList = (typeof messageLists)[number]

export const messageFilters = ['list', 'notice_type', 'plugin'] as const

export type MessageFilter = (typeof messageFilters)[number]

/** The counts that come with every answer and every pushed message. */
export interface Counts {
  unreadMum: number
  waitHandleNum: number
}

/** The list that an address means; one that it does not know is the first. */
export function listOf(value: string): MessageList {
  return messageLists.find((list) => list === value) ?? 'unread'
}
