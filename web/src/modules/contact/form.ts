import type { Contact, ContactForm } from './types'

/** The form for a contact, or an empty one for a new contact. */
export function formOf(contact: Contact | null): ContactForm {
  return {
    name: contact?.name ?? '',
    contact: contact?.contact ?? '',
    position: contact?.position ?? '',
    reply_status: contact?.reply_status ?? '未回复',
    wechat_exchanged: contact?.wechat_exchanged ?? false,
    account_id: contact?.account_id ?? null,
    worker_id: contact?.worker_id ?? '',
    notes: contact?.notes ?? '',
    contacted_at: contact?.contacted_at?.slice(0, 19) ?? null,
  }
}

/** What a form says beyond `before`: only that is sent, so that two people who change different fields both succeed. */
export function changesOf(before: ContactForm, after: ContactForm): Record<string, unknown> {
  const changes: Record<string, unknown> = {}
  for (const name of Object.keys(after) as (keyof ContactForm)[]) {
    const value = after[name]
    const said = typeof value === 'string' && name !== 'notes' ? value.trim() : value
    if (said === before[name]) continue
    changes[name] = said === '' && name !== 'name' && name !== 'contact' ? null : said
  }
  return changes
}

/** What is wrong with a form, null when nothing is; the server decides about everything else. */
export function problemOf({ name, contact }: ContactForm): string | null {
  if (name.trim() === '') return '请填写姓名'
  return contact.trim() === '' ? '请填写联系方式' : null
}
