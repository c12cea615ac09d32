import type { MessagePort } from 'node:worker_threads'
import type { PendingFacts } from '@winnow/query'
import type { Config } from '../program-config.ts'

/** What a stage in a worker thread is given. `busPort` serves the bus of the main thread. */
export interface StageData {
  readonly config: Config
  readonly topics: Readonly<Record<'spans' | 'evidence' | 'decisions', string>>
  /** SHA-256 of a key to its tenant; undefined: no keys. */
  readonly keys: ReadonlyMap<string, string> | undefined
}

/** Main to worker. Every ask is answered by a reply of the same id. */
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
  | { readonly kind: 'started'; readonly address: string | undefined }
  | { readonly kind: 'failed'; readonly error: StageError }
  | { readonly kind: 'reply'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'askPending'
      readonly id: number
      readonly tenant: string
      readonly traceId: string
    }
