import { describe, expect, it } from 'vitest'
import { changesOf, formOf, problemOf } from './form'
import type { Contact } from './types'

const contact: Contact = {
  id: 7,
  name: '赵一',
  position: '测试工程师',
  contact: '13900000007',
  reply_status: '已回复',
  wechat_exchanged: true,
  account_id: 2,
  worker_id: null,
  notes: '',
  contacted_at: '2026-01-02T15:04:05',
  created_at: '2026-01-01T00:00:00',
  version: 3,
}

describe('changesOf', () => {
  it('says only what differs', () => {
    const before = formOf(contact)
    expect(changesOf(before, { ...before })).toEqual({})
    expect(changesOf(before, { ...before, name: ' 赵二 ', wechat_exchanged: false })).toEqual({ name: '赵二', wechat_exchanged: false })
  })

  it('clears with null', () => {
    const before = formOf(contact)
    expect(changesOf(before, { ...before, position: ' ', account_id: null, contacted_at: null })).toEqual({ position: null, account_id: null, contacted_at: null })
  })

  it('takes blanks around a text for nothing, except in notes', () => {
    const before = formOf(contact)
    expect(changesOf(before, { ...before, position: ' 测试工程师 ', notes: ' 可以面试\n' })).toEqual({ notes: ' 可以面试\n' })
  })

  it('says of a new contact what was filled in', () => {
    const empty = formOf(null)
    expect(changesOf(empty, { ...empty, name: '钱三', contact: 'wechat:demo' })).toEqual({ name: '钱三', contact: 'wechat:demo' })
  })
})

describe('problemOf', () => {
  it.each([
    [{ name: ' ' }, '请填写姓名'],
    [{ contact: '' }, '请填写联系方式'],
    [{}, null],
  ])('%o', (change, problem) => expect(problemOf({ ...formOf(contact), ...change })).toBe(problem))
})
