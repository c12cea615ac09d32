import { Worker } from 'node:worker_threads'
import type { FuzzReport } from './fuzz.ts'

export interface FuzzWork {
  readonly inputs: number
  readonly seed: number
  /** Part of a target's name; absent: all of them. */
  readonly only: string | undefined
  /** Number of the input at hand. */
  readonly place: Int32Array
}

/** How long the thread may be at one input before it is given up: no machine is that slow. */
const stuckMs = 30_000

type FromWorker = { readonly begins: string } | { readonly report: FuzzReport }

/**
 * Feeds `inputs` inputs to all targets in a thread of their own, so that one that never returns is a
 * finding too. Rejects with the first finding.
 */
export async function runFuzz(
  options: { readonly inputs: number; readonly seed: number; readonly only?: string },
  told: (report: FuzzReport) => void = () => {},
): Promise<readonly FuzzReport[]> {
  const { inputs, seed, only } = options
  const place = new Int32Array(new SharedArrayBuffer(4))
  const work: FuzzWork = { inputs, seed, only, place }
  const worker = new Worker(new URL('fuzz-worker.ts', import.meta.url), { workerData: work })
  const reports: FuzzReport[] = []
  let target = 'the start'
  const ended = Promise.withResolvers<void>()
  worker.on('message', (message: FromWorker) => {
    if ('begins' in message) target = message.begins
    else {
      reports.push(message.report)
      told(message.report)
    }
  })
  worker.once('error', ended.reject)
  worker.once('exit', () => ended.resolve())
  const watch = watchPlace(place, at => {
    ended.reject(new Error(`${target}: seed ${seed}, input ${at}: has not come back`))
  })
  try {
    await ended.promise
    return reports
  } finally {
    clearInterval(watch)
    await worker.terminate()
  }
}

function watchPlace(place: Int32Array, stuck: (at: number) => void): NodeJS.Timeout {
  let last = -1
  let sinceMs = performance.now()
  return setInterval(() => {
    const at = Atomics.load(place, 0)
    if (at !== last) {
      last = at
      sinceMs = performance.now()
    } else if (performance.now() - sinceMs > stuckMs) stuck(at)
  }, 1_000)
}
