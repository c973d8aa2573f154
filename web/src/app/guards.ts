import type { RouteLocationNormalized, RouteLocationRaw } from 'vue-router'
import { toApiError } from '@/shared/errors'
import type { Session } from './session'

export type LoginReason = 'ended' | 'changed'

/** The login page, which comes back to where the person was going. */
export function loginLocation(from: string, reason?: LoginReason): RouteLocationRaw {
  const query: Record<string, string> = {}
  if (from !== '/') query.redirect = from
  if (reason) query.reason = reason
  return { name: 'login', query }
}

/** Where to go after login: only addresses inside this page, since the text comes from a link anybody can make. */
export function safeRedirect(value: unknown): string {
  if (typeof value !== 'string' || !/^\/(?![/\\])/.test(value)) return '/'
  return value.startsWith('/login') ? '/' : value
}

/**
 * Lets a navigation through, or says where it goes instead: a visitor without a session to the login page, a password that must
 * be changed to its form, a server that can't say who is here to a page that offers to try again.
 */
export async function guard(to: RouteLocationNormalized, session: Session): Promise<RouteLocationRaw | true> {
  if (to.meta.public === true) return true
  let me = session.me
  if (me === null) {
    try {
      me = await session.load()
    } catch (cause) {
      return { name: 'unreachable', query: { redirect: to.fullPath }, state: { message: toApiError(cause).message } }
    }
  }
  if (me === null) return loginLocation(to.fullPath)
  if (me.must_change_password) return { name: 'password', query: { redirect: to.fullPath } }
  return true
}
