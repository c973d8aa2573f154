/** The part of the stock client (npm faye 1.4) that the page uses; the package ships no types. */
declare module 'faye' {
  export interface Subscription extends PromiseLike<void> {
    cancel(): void
  }

  export interface FayeError {
    code: number | null
    params: string[]
    message: string
  }

  export class Client {
    constructor(endpoint: string, options?: { timeout?: number; retry?: number; interval?: number })
    subscribe(channel: string, callback: (data: unknown) => void): Subscription
    on(event: 'transport:up' | 'transport:down', listener: () => void): void
    disable(feature: 'autodisconnect' | 'websocket' | 'eventsource'): void
    connect(): void
    disconnect(): void
  }

  const Faye: { Client: typeof Client; VERSION: string }
  export default Faye
}
