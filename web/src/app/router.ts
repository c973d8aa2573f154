import { createRouter, createWebHistory, type Router } from 'vue-router'
import { guard } from './guards'
import { menuFor, moduleRoutes } from './modules'
import type { Session } from './session'

export function createPageRouter(session: Session): Router {
  const router = createRouter({
    history: createWebHistory(),
    routes: [
      { path: '/login', name: 'login', component: () => import('./pages/LoginPage.vue'), meta: { public: true, title: '登录' } },
      { path: '/password', name: 'password', component: () => import('./pages/PasswordPage.vue'), meta: { public: true, title: '修改密码' } },
      {
        path: '/unreachable',
        name: 'unreachable',
        component: () => import('./pages/UnreachablePage.vue'),
        meta: { public: true, title: '无法连接服务器' },
      },
      {
        path: '/',
        component: () => import('./layout/AdminLayout.vue'),
        children: [
          { path: '', name: 'home', component: () => import('./pages/HomePage.vue'), meta: { title: '首页' } },
          ...moduleRoutes(),
          { path: ':rest(.*)*', name: 'missing', component: () => import('./pages/MissingPage.vue'), meta: { title: '页面不存在' } },
        ],
      },
    ],
  })
  router.beforeEach(async (to) => {
    const result = await guard(to, session)
    if (result !== true) return result
    // The first page one may open is the home page of today.
    if (to.name === 'home') return menuFor(session.can)[0]?.pages[0]?.path ?? true
    return true
  })
  router.afterEach((to) => {
    document.title = `${to.meta.title ?? ''} · Exporthub`
  })
  return router
}
