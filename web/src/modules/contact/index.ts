import { Notebook } from '@element-plus/icons-vue'
import { markRaw } from 'vue'
import type { PageModule } from '@/app/modules'

const module: PageModule = {
  name: 'contact',
  title: '联系人管理',
  icon: markRaw(Notebook),
  order: 20,
  pages: [
    {
      path: '/contacts',
      title: '联系记录',
      permission: 'contact.read',
      component: () => import('./pages/ContactsPage.vue'),
    },
  ],
  datasets: { 'Exports::Contact': '联系记录' },
}

export default module
