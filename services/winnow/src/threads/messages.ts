import type { MessagePort } from 'node:worker_threads'
import type { PendingFacts } from '@winnow/query'
import type { Addresses, StageContext, StageName } from '../stages/stage.ts'

/** What a stage in a worker thread is given beside the bus. */
export interface StageData extends Pick<StageContext, 'config' | 'topics'> {
  readonly name: StageName
  /** The main thread answers for what is open. */
  readonly knowsPending: boolean
}

/** Main to worker. Every ask is answered by a reply of the same id. `busPort` serves the main thread's bus. */
export type ToStage =
  | { readonly kind: 'start'; readonly busPort: MessagePort }
  | { readonly kind: 'ask'; readonly id: number; readonly what: 'stop' | 'metrics' | 'health' }
  | { readonly kind: 'pending'; readonly id: number; readonly facts: PendingFacts | undefined }

/** What is left of an error once it has crossed threads: its message and Node's plain fields. */
export interface StageError {
  readonly message: string
  readonly code?: string
  readonly syscall?: string
  readonly port?: number
  readonly hostname?: string
}

/** Worker to main. `metrics` are a registry's metrics as JSON, to be merged with the others'. */
export type FromStage =
  | { readonly kind: 'started'; readonly addresses: Addresses }
  | { readonly kind: 'failed'; readonly error: StageError }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'askPending'
      readonly id: number
      readonly tenant: string
      readonly traceId: string
    }
