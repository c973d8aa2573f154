import { onScopeDispose } from 'vue'

/** A token lives 24 hours; the page gets a new one this often, so one missed renewal costs nothing. Milliseconds. */
export const renewEvery = 2 * 60 * 60 * 1000
/** After a failed renewal. */
export const retryEvery = 60 * 1000

/**
 * Renews the session while the page is open. The clock is compared once a minute instead of waiting for one long timer:
 * a laptop that slept through the night renews when it wakes.
 */
export function useKeepAlive(renew: () => Promise<void>, now: () => number = Date.now): void {
  let due = now() + renewEvery
  let renewing = false

  async function check(): Promise<void> {
    if (renewing || now() < due) return
    renewing = true
    try {
      await renew()
      due = now() + renewEvery
    } catch {
      // An ended session has led to the login page by now; anything else is tried again.
      due = now() + retryEvery
    } finally {
      renewing = false
    }
  }

  const timer = setInterval(() => void check(), 60_000)
  const wake = (): void => {
    if (document.visibilityState === 'visible') void check()
  }
  document.addEventListener('visibilitychange', wake)
  onScopeDispose(() => {
    clearInterval(timer)
    document.removeEventListener('visibilitychange', wake)
  })
}
