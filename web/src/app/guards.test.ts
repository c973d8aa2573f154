import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { RouteLocationNormalized } from 'vue-router'
import { guard, loginLocation, safeRedirect } from './guards'
import { menuFor, modules, moduleRoutes, type PageModule } from './modules'
import { useSession } from './session'

const fetchMock = vi.fn<typeof fetch>()
beforeEach(() => {
  setActivePinia(createPinia())
  fetchMock.mockReset()
  vi.stubGlobal('fetch', fetchMock)
})
afterEach(() => vi.unstubAllGlobals())

const person = { id: 3, name: '通讯员', role: 3, permissions: ['invitation.read'], menus: [], export_channel: '/export/3-x' }
const answer = (status: number, body: unknown) => fetchMock.mockResolvedValueOnce(new Response(JSON.stringify(body), { status }))
const to = (fullPath: string, meta = {}) => ({ fullPath, meta }) as RouteLocationNormalized

describe('guard', () => {
  it('lets anybody see a public page without asking', async () => {
    expect(await guard(to('/login', { public: true }), useSession())).toBe(true)
    expect(fetchMock).not.toHaveBeenCalled()
  })

  it('leads a visitor without a session to the login page, and back', async () => {
    answer(200, { status: 0, data: { user: null } })
    expect(await guard(to('/invitations?page=2'), useSession())).toEqual({ name: 'login', query: { redirect: '/invitations?page=2' } })
  })

  it('asks who is here once', async () => {
    answer(200, { status: 0, data: { user: person } })
    const session = useSession()
    expect(await guard(to('/invitations'), session)).toBe(true)
    expect(await guard(to('/invitations'), session)).toBe(true)
    expect(fetchMock).toHaveBeenCalledTimes(1)
    expect([session.can('invitation.read'), session.can('invitation.export'), session.can(undefined)]).toEqual([true, false, true])
    expect([session.exportChannel, session.roleName]).toEqual(['/export/3-x', '通讯员'])
  })

  it('leads to the password form while one must be changed', async () => {
    answer(200, { status: 0, data: { user: { ...person, must_change_password: true } } })
    expect(await guard(to('/invitations'), useSession())).toEqual({ name: 'password', query: { redirect: '/invitations' } })
  })

  it('does not take a server in trouble for a logout', async () => {
    answer(503, { status: 1, msg: '数据库暂时不可用' })
    expect(await guard(to('/invitations'), useSession())).toEqual({ name: 'unreachable', query: { redirect: '/invitations' }, state: { message: '数据库暂时不可用' } })
  })
})

describe('session', () => {
  it('logs in and knows the person', async () => {
    answer(200, { msg: '登陆成功', status: 0 })
    answer(200, { status: 0, data: person })
    const session = useSession()
    await session.login('13800000003', 'secret')
    expect(fetchMock.mock.calls[0]?.[1]?.body).toBe('{"phoneNumber":"13800000003","password":"secret"}')
    expect([session.me?.name, session.account]).toEqual(['通讯员', '13800000003'])
  })

  it('passes on why a login failed', async () => {
    answer(200, { status: 1, msg: '账号或密码错误' })
    const session = useSession()
    await expect(session.login('x', 'y')).rejects.toMatchObject({ message: '账号或密码错误' })
    expect(session.me).toBeNull()
  })

  it('is over after logout, even if it was already', async () => {
    answer(401, { status: 1, msg: '请先登录' })
    await expect(useSession().logout()).resolves.toBeUndefined()
  })

  it('stays when the server did not receive the logout', async () => {
    answer(200, { status: 0, data: { user: person } })
    const session = useSession()
    await session.load()
    fetchMock.mockRejectedValueOnce(new TypeError('offline'))
    await expect(session.logout()).rejects.toMatchObject({ kind: 'network' })
    expect(session.me).not.toBeNull()
  })

  it('takes up what changed when it renews', async () => {
    answer(200, { status: 0, data: { token: 't' } })
    answer(200, { status: 0, data: { ...person, export_channel: '/export/3-y' } })
    const session = useSession()
    await session.renew()
    expect(fetchMock.mock.calls[0]?.[0]).toBe('/api/access/renew')
    expect(session.exportChannel).toBe('/export/3-y')
  })
})

describe('safeRedirect', () => {
  it.each([
    ['/invitations?page=2', '/invitations?page=2'],
    ['//evil.example.com', '/'],
    ['/\\evil.example.com', '/'],
    ['https://evil.example.com', '/'],
    ['javascript:alert(1)', '/'],
    ['/login?redirect=/x', '/'],
    [undefined, '/'],
    [['/a'], '/'],
  ])('%o', (value, path) => expect(safeRedirect(value)).toBe(path))

  it('writes no return path for the front page', () => {
    expect(loginLocation('/')).toEqual({ name: 'login', query: {} })
    expect(loginLocation('/a', 'ended')).toEqual({ name: 'login', query: { redirect: '/a', reason: 'ended' } })
  })
})

describe('modules', () => {
  const page = (path: string, permission?: string) => ({ path, title: path, component: () => Promise.reject(new Error('unused')), ...(permission ? { permission } : {}) })
  const list: PageModule[] = [
    { name: 'a', title: 'A', icon: {}, order: 1, pages: [page('/a', 'a.read'), page('/a/admin', 'a.write')] },
    { name: 'b', title: 'B', icon: {}, order: 2, pages: [page('/b', 'b.read')] },
  ]

  it('shows in the menu what a person may open', () => {
    const menu = menuFor((permission) => permission === 'a.read', list)
    expect(menu.map((module) => [module.name, module.pages.map((entry) => entry.path)])).toEqual([['a', ['/a']]])
  })

  it('keeps the routes of pages one may not open: they say so instead of being unknown', () => {
    expect(moduleRoutes(list).map((route) => [route.path, route.meta?.permission, route.meta?.section])).toEqual([
      ['/a', 'a.read', 'A'],
      ['/a/admin', 'a.write', 'A'],
      ['/b', 'b.read', 'B'],
    ])
  })

  it('finds the modules by their folders', () => {
    expect(modules.map((module) => module.name)).toContain('invitation')
    expect(new Set(modules.flatMap((module) => module.pages.map((entry) => entry.path))).size).toBe(modules.flatMap((module) => module.pages).length)
  })
})
