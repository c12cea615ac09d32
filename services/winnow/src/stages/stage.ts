import type { Bus } from '@winnow/bus'
import type { PendingFacts } from '@winnow/query'
import type { ApiKeys, Component, Health, Log, Metrics, ServerTls } from '@winnow/runtime'
import type { Config } from '../program-config.ts'

/** The five stages, in flow order. */
export const stageNames = ['receiver', 'assembler', 'sampler', 'writer', 'query'] as const

export type StageName = (typeof stageNames)[number]

/** Where a process listens, by the keys of `winnow.yaml`; a stage fills in its own. */
export interface Addresses {
  readonly otlpGrpc?: string
  readonly otlpHttp?: string
  readonly api?: string
  readonly metrics?: string
}

/** Full names. */
export type Topics = Readonly<
  Record<'spans' | 'evidence' | 'decisions' | 'baselines' | 'control', string>
>

/** What a trace that is still open looks like to the assembler of this process. */
export type FindPending = (
  tenant: string,
  traceId: string,
) => PendingFacts | undefined | Promise<PendingFacts | undefined>

/** What a stage is made of, whichever process or thread it runs in. */
export interface StageContext {
  readonly config: Config
  readonly bus: Bus
  readonly topics: Topics
  /** Undefined: no keys. */
  readonly keys: ApiKeys | undefined
  /** Undefined: plain text. */
  readonly tls: ServerTls | undefined
  readonly log: Log
  /** The stage's own, as is `health`. */
  readonly metrics: Metrics
  readonly health: Health
  /** Absent where no assembler runs in this process: then checkpoints in the trace buffer know what is open. */
  readonly pending?: FindPending
  /** How near the stages of this process are to being too far behind, 0 to 1. Absent on Kafka, where lag is allowed. */
  readonly lagging?: () => number
}

export interface Stage {
  readonly component: Component
  /** Rejects when the stage cannot go on. */
  readonly failed?: Promise<never>
  /** Where it listens, once started. */
  readonly addresses?: () => Addresses
  /** Sets the metrics that are a state and no count, before they are read. */
  readonly measure?: () => void
  readonly pending?: FindPending
  /** The next offset of a partition of the stage's topic that it is not through with; undefined until it is known. */
  readonly position?: (partition: number) => number | undefined
  /** Bytes of spans that it has made durable since it was started. */
  readonly appendedBytes?: () => number
  /** After the component has stopped: close what it stood on. */
  readonly close?: () => Promise<void>
}

/**
 * Makes a stage: the one place where each is wired. A stage's module, and all that it stands on, is
 * loaded only where the stage runs.
 */
export async function makeStage(name: StageName, context: StageContext): Promise<Stage> {
  switch (name) {
    case 'receiver':
      return (await import('./receiver-stage.ts')).receiverStage(context)
    case 'assembler':
      return (await import('./assembler-stage.ts')).assemblerStage(context)
    case 'sampler':
      return (await import('./sampler-stage.ts')).samplerStage(context)
    case 'writer':
      return (await import('./writer-stage.ts')).writerStage(context)
    case 'query':
      return (await import('./query-stage.ts')).queryStage(context)
  }
}
