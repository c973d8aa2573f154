import { describe, expect, it } from 'vitest'
import { carryOver, changesOf, differences, formOf, problemOf } from './form'
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

describe('carryOver', () => {
  it('keeps what was typed and follows the record in everything else', () => {
    const before = formOf(contact)
    const now = formOf({ ...contact, name: '李四', position: null as unknown as string, version: 4 })
    const typed = { ...before, name: '赵二', wechat_exchanged: false }
    const form = carryOver(before, typed, now)
    expect(form).toEqual({ ...now, name: '赵二', wechat_exchanged: false })
    expect(changesOf(now, form)).toEqual({ name: '赵二', wechat_exchanged: false })
  })
})

describe('differences', () => {
  it('names what has changed, and nothing where nothing has', () => {
    const before = formOf(contact)
    const now = formOf({ ...contact, position: '产品经理', wechat_exchanged: false, contacted_at: null })
    expect(differences(before, now)).toEqual(['岗位:测试工程师 → 产品经理', '是否交换微信:是 → 否', '联系时间:2026-01-02 15:04:05 → (空)'])
    expect(differences(before, { ...before })).toEqual([])
  })
})

describe('problemOf', () => {
  it.each([
    [{ name: ' ' }, '请填写姓名'],
    [{ contact: '' }, '请填写联系方式'],
    [{}, null],
  ])('%o', (change, problem) => expect(problemOf({ ...formOf(contact), ...change })).toBe(problem))
})
