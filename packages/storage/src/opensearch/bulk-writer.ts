// Hot: the writer goes through here for every kept trace.
import { type Metrics, PipelineError, type StageClock } from '@winnow/runtime'
import { type BulkItem, outcomeOf, resultLabel } from './bulk-result.ts'
import type { Connection } from './connection.ts'
import type { RequestBytes } from './request-bytes.ts'

/** Refused as a whole, or an item of it, a request is sent again so often; then the writer waits longer. */
export const busyAttemptsMax = 6
export const busyFirstMs = 200
export const busyMaxMs = 5_000

export interface BulkOp {
  readonly index: string
  readonly id: string
  readonly tenant: string
  readonly traceId: string
  /** The action and the document, each with its line end. */
  readonly lines: string
}

export interface Rejected {
  readonly op: BulkOp
  /** Of what kind, and which field; no text of the document. */
  readonly reason: string
}

export interface BulkWriterOptions {
  readonly connection: Connection
  readonly memory: RequestBytes
  /** Characters of a request; one operation of more is sent alone. */
  readonly requestLengthMax: number
  readonly clock: StageClock
  /** 0 to 1, for pauses that differ between writers. */
  readonly random: () => number
  readonly metrics: Metrics | undefined
  /** Nothing is to be waited for any more. */
  readonly closing: AbortSignal
  /** Set aside: no index takes it. */
  readonly rejected: (rejected: readonly Rejected[]) => Promise<void>
}

/**
 * Sends documents and answers for each. Resolves once every one of them is durable, was there before
 * or is set aside; rejects with STORE_UNAVAILABLE where one could not be written now. Then all of them
 * may be sent again: what was written answers that it is there.
 */
export class BulkWriter {
  readonly #options: BulkWriterOptions
  #waiting: BulkOp[] = []
  #length = 0

  constructor(options: BulkWriterOptions) {
    this.#options = options
  }

  /** Sends what has gathered once it is a whole request. */
  async add(op: BulkOp): Promise<void> {
    const { requestLengthMax } = this.#options
    if (this.#length > 0 && this.#length + op.lines.length > requestLengthMax) await this.flush()
    this.#waiting.push(op)
    this.#length += op.lines.length
  }

  async flush(): Promise<void> {
    const ops = this.#waiting
    this.#waiting = []
    this.#length = 0
    if (ops.length > 0) await this.#write(ops)
  }

  async #write(all: readonly BulkOp[]): Promise<void> {
    const { clock, random, metrics, closing, connection } = this.#options
    let ops = all
    for (let attempt = 0; ; attempt++) {
      const reply = await this.#send(ops)
      if (reply.status === 413) {
        await this.#writeHalves(ops)
        return
      }
      if (reply.status !== 429) ops = await this.#settle(ops, reply.items)
      if (ops.length === 0) return
      if (attempt + 1 >= busyAttemptsMax || closing.aborted) {
        throw new PipelineError(
          'STORE_UNAVAILABLE',
          `hot ${connection.address} has too much to do: it refused ${ops.length} documents ${attempt + 1} times (429); give it more nodes or heap`,
        )
      }
      metrics?.hotStoreRetries.inc({ reason: reply.status === 429 ? 'request' : 'items' })
      await clock.sleep(busyPauseMs(attempt, random()), closing)
    }
  }

  async #send(ops: readonly BulkOp[]) {
    const { connection, metrics, memory } = this.#options
    const body = memory.take(ops)
    metrics?.hotStoreInFlight.inc(body.length)
    try {
      const reply = await connection.send<{ readonly items: readonly BulkReplyItem[] }>({
        method: 'POST',
        path: '/_bulk',
        bulkBody: body,
        querystring: { filter_path: 'items.*.status,items.*.error' },
        allowed: [413, 429],
      })
      memory.giveBack(body)
      return { status: reply.status, items: reply.status < 300 ? (reply.body.items ?? []) : [] }
    } finally {
      metrics?.hotStoreInFlight.dec(body.length)
    }
  }

  /** What is to be sent again. Throws for what is held, after it has looked at every other one. */
  async #settle(ops: readonly BulkOp[], items: readonly BulkReplyItem[]): Promise<BulkOp[]> {
    const { connection, metrics } = this.#options
    if (items.length !== ops.length) {
      throw new PipelineError(
        'STORE_UNAVAILABLE',
        `hot ${connection.address} answered for ${items.length} of ${ops.length} documents: is there a proxy in between?`,
      )
    }
    const busy: BulkOp[] = []
    const poison: Rejected[] = []
    const counts = new Map<string, number>()
    let held: string | undefined
    for (let at = 0; at < ops.length; at++) {
      const op = ops[at] as BulkOp
      const item = items[at] as BulkReplyItem
      const outcome = outcomeOf((item.index ?? item.create) as BulkItem, op.index)
      const label = resultLabel(outcome)
      counts.set(label, (counts.get(label) ?? 0) + 1)
      if (outcome.kind === 'busy') busy.push(op)
      else if (outcome.kind === 'held') held = outcome.why
      else if (outcome.kind === 'poison') poison.push({ op, reason: outcome.reason })
    }
    for (const [result, count] of counts) metrics?.hotStoreItems.inc({ result }, count)
    if (poison.length > 0) await this.#options.rejected(poison)
    if (held !== undefined) {
      throw new PipelineError('STORE_UNAVAILABLE', `hot ${connection.address}: ${held}`)
    }
    return busy
  }

  /** Of one document nothing is left to halve. */
  async #writeHalves(ops: readonly BulkOp[]): Promise<void> {
    const [op] = ops
    if (op !== undefined && ops.length === 1) {
      this.#options.metrics?.hotStoreItems.inc({ result: 'rejected' })
      await this.#options.rejected([{ op, reason: 'http.max_content_length' }])
      return
    }
    this.#options.metrics?.hotStoreRetries.inc({ reason: 'too_large' })
    const half = Math.ceil(ops.length / 2)
    await this.#write(ops.slice(0, half))
    await this.#write(ops.slice(half))
  }
}

interface BulkReplyItem {
  readonly index?: BulkItem
  readonly create?: BulkItem
}

/** Doubles up to {@link busyMaxMs}; between half of that and the whole of it. */
export function busyPauseMs(attempt: number, random: number): number {
  return Math.min(busyMaxMs, busyFirstMs * 2 ** attempt) * (0.5 + random / 2)
}
