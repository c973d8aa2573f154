import { computed, inject, onScopeDispose, provide, shallowRef, watch, type ComputedRef, type InjectionKey, type Ref, type ShallowRef } from 'vue'
import { useChannel, type ChannelState } from '@/realtime/useChannel'
import type { Realtime } from '@/realtime/client'
import { ApiError } from '@/shared/errors'
import { cancelExport, fetchExport } from './api'
import type { JobMemory } from './memory'
import { applyEvent, applyRecord, isEnded, newJob, parseEvent } from './progress'
import type { ExportJob, ExportRecord } from './types'

export interface ExportProgress {
  /** Newest first. */
  jobs: ShallowRef<readonly ExportJob[]>
  channel: ComputedRef<ChannelState>
  /** How often a person's own doing has brought a job to the page: by pressing export, or by a refusal that names the job in the way. */
  asked: Readonly<Ref<number>>
  /** Shows a job, one that was just queued or one that is in the way, and follows it to its end. */
  follow(uuid: string): void
  /** Takes a job off the page. It goes on all the same. */
  dismiss(uuid: string): void
  /** Ends a job; rejects with the ApiError that the refusal is. A job that runs is over only when its end is published. */
  cancel(uuid: string): Promise<void>
}

export interface ExportProgressOptions {
  /** The person's capability, opaque; null while there is no session. */
  channel: Readonly<Ref<string | null>>
  memory: JobMemory
  /** The job ended before the person's eyes; not called for what a reload or a replay brings back. */
  onEnd: (job: ExportJob) => void
  /** The server no longer knows the channel: a fresh one is needed. */
  onRefused: () => void
  fetch?: (uuid: string) => Promise<ExportRecord>
  cancel?: (uuid: string) => Promise<ExportRecord>
  connection?: () => Realtime
}

/** While no events can come, a running job is asked for this often; milliseconds. */
export const pollEvery = 5_000
/** With the line up, a running job that says nothing for this long is asked for once, lest a lost event hide its end. */
export const silenceLimit = 30_000

/** Ended jobs that stay on the page; older ones make room. */
export const endedKept = 5

/** Follows the exports of the logged-in person: pushed events while the line is up, questions while it is not. */
export function createExportProgress(options: ExportProgressOptions): ExportProgress {
  const fetch = options.fetch ?? fetchExport
  const cancel = options.cancel ?? cancelExport
  const jobs = shallowRef<readonly ExportJob[]>([])
  const asked = shallowRef(0)
  const remembered = options.memory.load()
  const dismissed = new Set<string>(remembered.dismissed) // newest first
  const lastReport = new Map<string, number>() // uuid → time of the last event or answer
  const asking = new Set<string>()

  const find = (uuid: string): ExportJob | undefined => jobs.value.find((job) => job.uuid === uuid)
  const running = (): ExportJob[] => jobs.value.filter((job) => !isEnded(job.status))

  function put(next: ExportJob): void {
    const known = find(next.uuid) !== undefined
    jobs.value = known ? jobs.value.map((job) => (job.uuid === next.uuid ? next : job)) : [next, ...jobs.value]
    if (!known) remember()
  }

  function remember(): void {
    options.memory.save({ shown: jobs.value.map((job) => job.uuid), dismissed: [...dismissed] })
  }

  /** Stores a job's new state and announces its end, once, unless the news is old. */
  function advance(before: ExportJob, after: ExportJob, quiet: boolean): void {
    lastReport.set(after.uuid, Date.now())
    if (after === before && find(after.uuid)) return
    put(after)
    makeRoom()
    if (!quiet && !isEnded(before.status) && isEnded(after.status)) options.onEnd(after)
  }

  function receive(data: unknown): void {
    const event = parseEvent(data)
    if (event === null || dismissed.has(event.uuid)) return
    const known = find(event.uuid)
    const before = known ?? newJob(event.uuid)
    advance(before, applyEvent(before, event), event.replayed === true)
    // Events do not say when it began and in which format.
    if (known === undefined) void ask(event.uuid, true)
  }

  async function ask(uuid: string, quiet: boolean): Promise<void> {
    if (asking.has(uuid)) return
    asking.add(uuid)
    try {
      const record = await fetch(uuid)
      const before = find(uuid)
      if (before) advance(before, applyRecord(before, record), quiet)
    } catch (cause) {
      // A job that is unknown has been tidied away; everything else is tried again by the clock.
      if (cause instanceof ApiError && cause.kind === 'notFound') drop(uuid)
    } finally {
      asking.delete(uuid)
    }
  }

  function makeRoom(): void {
    for (const { uuid } of jobs.value.filter((job) => isEnded(job.status)).slice(endedKept)) dismiss(uuid)
  }

  function dismiss(uuid: string): void {
    const older = [...dismissed]
    dismissed.clear()
    for (const each of [uuid, ...older]) dismissed.add(each)
    drop(uuid)
  }

  function drop(uuid: string): void {
    jobs.value = jobs.value.filter((job) => job.uuid !== uuid)
    lastReport.delete(uuid)
    remember()
  }

  const channel = useChannel(options.channel, receive, {
    onRefused: options.onRefused,
    ...(options.connection ? { connection: options.connection } : {}),
  }).state

  function tick(): void {
    for (const job of running()) {
      const silence = Date.now() - (lastReport.get(job.uuid) ?? 0)
      // A time left that has passed in silence is no longer true: its worker may be gone.
      const overdue = job.etaSeconds !== null && silence >= Math.max(job.etaSeconds * 1000, pollEvery)
      if (overdue) put({ ...job, etaSeconds: null })
      if (channel.value !== 'live' || silence >= silenceLimit || overdue) void ask(job.uuid, false)
    }
  }

  const timer = setInterval(tick, pollEvery)
  onScopeDispose(() => clearInterval(timer))
  // What was missed while the line was down is made up for at once.
  watch(channel, (now, before) => {
    if (now === 'live' && before === 'down') running().forEach(({ uuid }) => void ask(uuid, false))
  })

  for (const uuid of remembered.shown.reverse()) {
    put(newJob(uuid))
    void ask(uuid, true)
  }

  return {
    jobs,
    channel: computed(() => channel.value),
    asked,
    follow(uuid) {
      asked.value++
      dismissed.delete(uuid)
      lastReport.set(uuid, Date.now())
      if (find(uuid) === undefined) {
        put(newJob(uuid))
        // The job may have begun before this page received its first event, or even be over.
        void ask(uuid, false)
      }
    },
    dismiss,
    async cancel(uuid) {
      try {
        const record = await cancel(uuid)
        const before = find(uuid)
        if (before) advance(before, applyRecord(before, record), true)
      } catch (cause) {
        // It has ended meanwhile, or is gone: the record says.
        void ask(uuid, true)
        throw cause
      }
    },
  }
}

const key: InjectionKey<ExportProgress> = Symbol('export progress')

/** Makes the exports of this page known to everything below, once, in the layout. */
export function provideExportProgress(options: ExportProgressOptions): ExportProgress {
  const progress = createExportProgress(options)
  provide(key, progress)
  return progress
}

export function useExportProgress(): ExportProgress {
  const progress = inject(key)
  if (progress === undefined) throw new Error('useExportProgress is for components inside the layout')
  return progress
}
