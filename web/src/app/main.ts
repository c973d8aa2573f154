import 'element-plus/es/components/message/style/css'
import 'element-plus/es/components/message-box/style/css'
import './main.css'
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import { closeRealtime } from '@/realtime/client'
import { onUnauthenticated } from '@/shared/http'
import App from './App.vue'
import { createPageRouter } from './router'
import { loginLocation } from './guards'
import { useSession } from './session'

const app = createApp(App)
app.use(createPinia())
const session = useSession()
const router = createPageRouter(session)
app.use(router)

onUnauthenticated(() => {
  const here = router.currentRoute.value
  session.clear()
  closeRealtime()
  if (here.meta.public !== true) void router.push(loginLocation(here.fullPath, 'ended'))
})

app.mount('#app')
