import { onScopeDispose, readonly, ref, type Ref } from 'vue'

/** Windows narrower than this have no room for a menu beside the page, nor for columns that stay in place. CSS pixels. */
export const narrowBelow = 768

/** Whether the window is narrow, as long as the calling component lives. */
export function useNarrow(): Readonly<Ref<boolean>> {
  const query = window.matchMedia?.(`(max-width: ${narrowBelow - 0.02}px)`)
  const narrow = ref(query?.matches ?? false)
  const look = (event: MediaQueryListEvent): void => {
    narrow.value = event.matches
  }
  query?.addEventListener('change', look)
  onScopeDispose(() => query?.removeEventListener('change', look))
  return readonly(narrow)
}
