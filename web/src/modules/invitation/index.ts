import { Tickets } from '@element-plus/icons-vue'
import { markRaw } from 'vue'
import type { PageModule } from '@/app/modules'

const module: PageModule = {
  name: 'invitation',
  title: '邀请管理',
  icon: markRaw(Tickets),
  order: 10,
  pages: [
    {
      path: '/invitations',
      title: '邀请记录',
      permission: 'invitation.read',
      component: () => import('./pages/InvitationsPage.vue'),
    },
  ],
  datasets: { 'Exports::Invitation': '邀请记录', 'Exports::Exhibition': '展会' },
}

export default module
