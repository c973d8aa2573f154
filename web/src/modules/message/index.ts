import { Bell } from '@element-plus/icons-vue'
import { markRaw } from 'vue'
import type { PageModule } from '@/app/modules'
import MessageBadge from './MessageBadge.vue'

const module: PageModule = {
  name: 'message',
  title: '消息中心',
  icon: markRaw(Bell),
  order: 90,
  pages: [
    {
      path: '/messages',
      title: '消息',
      permission: 'message.read',
      component: () => import('./pages/MessagesPage.vue'),
    },
  ],
  header: { component: markRaw(MessageBadge), permission: 'message.read' },
  datasets: {
    'Exports::UnreadMessage': '未读消息',
    'Exports::ReadMessage': '已读消息',
    'Exports::WaitHandleMessage': '待处理消息',
  },
}

export default module
