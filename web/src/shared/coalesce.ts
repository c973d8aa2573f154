import { onScopeDispose } from 'vue'

/**
 * Returns a call that runs `run` once, a little later, however often it is called until then: a burst of events costs one
 * request. Ends with the scope. Milliseconds.
 */
export function useCoalesced(run: () => void, delay = 400): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined
  onScopeDispose(() => clearTimeout(timer))
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined
      run()
    }, delay)
  }
}
