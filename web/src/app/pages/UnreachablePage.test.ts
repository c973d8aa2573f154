import { mount } from '@vue/test-utils'
import { afterEach, describe, expect, it, vi } from 'vitest'
import UnreachablePage from './UnreachablePage.vue'

vi.mock('vue-router', () => ({
  useRoute: () => ({ query: { message: '您的账号已被冻结，请致电', redirect: '/' } }),
  useRouter: () => ({ replace: vi.fn() }),
}))

const stubs = { 'el-result': { props: ['title', 'subTitle'], template: '<p>{{ title }} {{ subTitle }}</p>' }, 'el-button': true }

describe('UnreachablePage', () => {
  afterEach(() => window.history.replaceState(null, ''))

  it('shows no sentence out of a link', () => {
    expect(mount(UnreachablePage, { global: { stubs } }).text()).not.toContain('账号已被冻结')
  })

  it('shows what the guard said', () => {
    window.history.replaceState({ message: '数据库暂时不可用' }, '')
    expect(mount(UnreachablePage, { global: { stubs } }).text()).toContain('数据库暂时不可用')
  })
})
