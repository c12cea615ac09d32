import type { OutcomeRecord, Speaker } from '@winnow/model'
import type { ApiKey, Scope } from '@winnow/runtime'
import type { Edge } from './edge.ts'
import type { Refusal } from './refusal.ts'

/** One request for a {@link JsonRoute}, its body read. */
export interface JsonRequest {
  readonly edge: Edge
  readonly key: ApiKey
  /** Of whoever sends: his limits, and what he is called. */
  readonly speaker: Speaker
  /** What stands behind the route's path; empty where nothing does. */
  readonly id: string
  /** Undefined: it is no JSON. */
  readonly body: unknown
  /** Resolves once all are durable. */
  readonly append: (records: readonly OutcomeRecord[]) => Promise<void>
}

export interface JsonAnswer {
  readonly status: number
  readonly body: object
}

/** A call of HTTP that speaks JSON, whatever it calls a mistake. */
export interface JsonRoute {
  readonly method: 'POST' | 'DELETE'
  readonly scope: Scope
  readonly answer: (request: JsonRequest) => Promise<JsonAnswer>
  /** The body that its clients expect of a refusal. */
  readonly refused: (refused: Refusal) => object
}

/** What a key is called as the source of an outcome; nothing where it has no name. */
export function sourceOfKey({ name }: ApiKey): string | undefined {
  return name === undefined ? undefined : `key:${name}`
}
