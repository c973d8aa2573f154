import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import { ApiError } from '@/shared/errors'
import { request } from '@/shared/http'

export interface Me {
  id: number
  name: string
  role: number
  permissions: string[]
  menus: { id: number; name: string }[]
  /** A capability: any holder receives this person's export events. Opaque. */
  export_channel: string
  must_change_password?: boolean
}

const roleNames: Record<number, string> = { 1: '管理员', 2: '员工', 3: '通讯员' }

/** The person on this page. The token itself is in a cookie that scripts can't read. */
export const useSession = defineStore('session', () => {
  const me = shallowRef<Me | null>(null)
  /** What was typed at login, so that the password form need not ask again. */
  const account = shallowRef('')

  function set(data: Me): Me {
    me.value = { ...data, permissions: data.permissions ?? [], menus: data.menus ?? [] }
    return me.value
  }

  async function fetchMe(quiet: boolean): Promise<Me> {
    const { data } = await request<Me>('B', '/api/user/me', { quietUnauthenticated: quiet })
    return set(data)
  }

  /**
   * Finds out who is here; null when nobody is logged in. Rejects when the server can't answer. It does not ask with
   * /api/user/me, whose 401 would stand in the console of each first visit.
   */
  async function load(): Promise<Me | null> {
    const { data } = await request<{ user: Me | null }>('B', '/api/user/session')
    if (data.user === null) {
      me.value = null
      return null
    }
    return set(data.user)
  }

  async function login(phoneNumber: string, password: string): Promise<Me> {
    await request('B', '/api/user/login', { method: 'POST', body: { phoneNumber, password }, quietUnauthenticated: true })
    account.value = phoneNumber
    return await fetchMe(true)
  }

  async function logout(): Promise<void> {
    try {
      await request('B', '/api/user/logout', { method: 'POST', quietUnauthenticated: true })
    } catch (error) {
      // Already over is what was asked for.
      if (!(error instanceof ApiError && error.kind === 'unauthenticated')) throw error
    }
    me.value = null
    account.value = ''
  }

  /** Changes the password, which ends every session of this person, this one too. */
  async function changePassword(phoneNumber: string, oldPassword: string, newPassword: string): Promise<void> {
    const body = { phoneNumber, old_password: oldPassword, new_password: newPassword }
    await request('B', '/api/user/password', { method: 'POST', body, quietUnauthenticated: true })
    account.value = phoneNumber
    me.value = null
  }

  /** A fresh token before the old one ends, and whatever has changed about the person meanwhile. */
  async function renew(): Promise<void> {
    await request('C', '/api/access/renew', { method: 'POST' })
    await fetchMe(false)
  }

  return {
    me,
    account,
    exportChannel: computed(() => me.value?.export_channel ?? null),
    roleName: computed(() => (me.value ? (roleNames[me.value.role] ?? '') : '')),
    can: (permission: string | undefined) => permission === undefined || (me.value?.permissions.includes(permission) ?? false),
    load,
    login,
    logout,
    changePassword,
    renew,
    refresh: () => fetchMe(false),
    clear: () => {
      me.value = null
    },
  }
})

export type Session = ReturnType<typeof useSession>
