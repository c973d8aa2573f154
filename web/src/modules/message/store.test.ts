import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, expect, it } from 'vitest'
import { useSession, type Me } from '@/app/session'
import { useMessages } from './store'

const person = (id: number): Me => ({ id, name: '某人', role: 2, permissions: [], menus: [], export_channel: `/export/${id}-x` })

beforeEach(() => setActivePinia(createPinia()))

it('clears the counts of a person who has left', () => {
  const session = useSession()
  session.me = person(1)
  const messages = useMessages()
  messages.receive({ unreadMum: 7, waitHandleNum: 2 })
  session.me = { ...person(1), name: '同一个人' }
  expect([messages.unread, messages.waiting]).toEqual([7, 2])
  session.me = null
  session.me = person(2)
  expect([messages.counts, messages.unread, messages.waiting]).toEqual([null, 0, 0])
})

it('takes no counts from an answer to the person before', async () => {
  const session = useSession()
  session.me = person(1)
  const messages = useMessages()
  let answer!: (counts: { unreadMum: number; waitHandleNum: number }) => void
  const asked = messages.taking(new Promise<{ unreadMum: number; waitHandleNum: number }>((resolve) => (answer = resolve)), (counts) => counts)
  session.me = person(2)
  answer({ unreadMum: 7, waitHandleNum: 2 })
  await asked
  expect(messages.unread).toBe(0)
  await messages.taking(Promise.resolve({ unreadMum: 3, waitHandleNum: 0 }), (counts) => counts)
  expect(messages.unread).toBe(3)
})
