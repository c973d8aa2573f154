import { dateTime } from '@/shared/format'
import { contactLabels, type Contact, type ContactForm } from './types'

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

/** What was typed, carried over to a record that has changed since `before`: fields that were left alone follow it. */
export function carryOver(before: ContactForm, typed: ContactForm, now: ContactForm): ContactForm {
  const changes = changesOf(before, typed)
  const kept = Object.keys(changes).map((name) => [name, typed[name as keyof ContactForm]])
  return { ...now, ...Object.fromEntries(kept) }
}

/** How a record differs from what it was, a line for each field: "岗位:工程师 → 经理". */
export function differences(before: ContactForm, now: ContactForm): string[] {
  return (Object.keys(contactLabels) as (keyof ContactForm)[])
    .filter((name) => before[name] !== now[name])
    .map((name) => `${contactLabels[name]}:${textOf(before, name)} → ${textOf(now, name)}`)
}

function textOf(form: ContactForm, name: keyof ContactForm): string {
  const value = form[name]
  if (typeof value === 'boolean') return value ? '是' : '否'
  return (name === 'contacted_at' ? dateTime(form.contacted_at) : String(value ?? '')) || '(空)'
}
