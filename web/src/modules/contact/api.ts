import { request, type QueryValue } from '@/shared/http'
import type { ListResult } from '@/shared/useListPage'
import type { Contact, ImportReport } from './types'

export const contactsPath = '/api/contacts'

export async function listContacts(query: Record<string, QueryValue>, signal: AbortSignal): Promise<ListResult<Contact>> {
  const { data, headers } = await request<{ total: number; results: Contact[] }>('D', contactsPath, { query, signal })
  return { rows: data.results, total: data.total, estimated: headers.get('X-Total-Estimated') === '1' }
}

export async function createContact(body: Record<string, unknown>): Promise<void> {
  await request('D', contactsPath, { method: 'POST', body })
}

/** Changes the given fields, unless somebody else has changed the record since `version`. */
export async function changeContact({ id, version }: Contact, changes: Record<string, unknown>): Promise<void> {
  await request('D', `${contactsPath}/${id}`, { method: 'PUT', body: { ...changes, version } })
}

/**
 * The record as it is now, whatever the list shows. No address only reads one; a change that says nothing answers with
 * the record and leaves it, and its version, as they are.
 */
export async function currentContact(id: number): Promise<Contact> {
  return (await request<Contact>('D', `${contactsPath}/${id}`, { method: 'PUT', body: {} })).data
}

/** Deletes a record, unless somebody else has changed it since `version`. */
export async function removeContact({ id, version }: Contact): Promise<void> {
  await request('D', `${contactsPath}/${id}`, { method: 'DELETE', headers: { 'If-Match': `"${version}"` } })
}

/** Sends a file of JSON Lines. Bad lines are listed in the report and do not keep the others out. */
export async function importContacts(file: Blob): Promise<ImportReport> {
  return (await request<ImportReport>('D', `${contactsPath}/import`, { method: 'POST', body: file })).data
}
