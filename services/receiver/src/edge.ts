import type { Readable } from 'node:stream'
import type { OutcomeMap } from '@winnow/model'
import type { ApiKeys, Log, Metrics } from '@winnow/runtime'
import type { Admission, Ticket } from './admission.ts'
import { type Body, type BodyLimits, type BodySink, readBody, tooLarge } from './body.ts'
import type { BodyPool } from './body-pool.ts'
import type { ReceiverConfig } from './config.ts'
import { type ContentEncoding, inflate } from './inflate.ts'
import type { Intake } from './intake.ts'
import { type Refusal, refusalOf } from './refusal.ts'
import type { ScoreTraces } from './score-traces.ts'

/** What both transports stand on. */
export interface Edge {
  readonly config: ReceiverConfig
  readonly keys: ApiKeys | undefined
  readonly nowMs: () => number
  readonly admission: Admission
  readonly pool: BodyPool
  readonly intake: Intake
  readonly outcomes: OutcomeMap
  readonly scoreTraces: ScoreTraces
  readonly log: Log
  readonly metrics: Metrics
  /** Holds an acknowledgement while the stages of this process lag, unless others made them lag. */
  readonly holdWhileLagging: (tenant: string) => Promise<void>
  /** Before whoever is refused for want of room is told so. */
  readonly holdRefusal: () => Promise<void>
  readonly isStopping: () => boolean
}

export interface Taken {
  readonly body: Body
  readonly ticket: Ticket
}

/**
 * Reads one request into memory: admitted by its announced length, counted as it comes, decompressed
 * under the same limit. Undefined: the client went away. Rejects with PAYLOAD_TOO_LARGE,
 * PAYLOAD_INVALID or QUOTA_EXCEEDED, and then holds nothing any more.
 */
export async function takeBody(
  edge: Edge,
  request: {
    readonly stream: Readable
    readonly tenant: string
    /** As announced; 0 where it was not. */
    readonly contentLength: number
    readonly limits: BodyLimits
    readonly sinkOf: (ticket: Ticket) => BodySink
    /** Asked once the body is there: gRPC says it in front of the message. */
    readonly encodingOf: () => ContentEncoding
  },
): Promise<Taken | undefined> {
  const { stream, tenant, contentLength, limits } = request
  const { pool, config } = edge
  if (contentLength > limits.bytesMax) throw tooLarge(limits)
  const ticket = await admitted(edge, tenant, contentLength)
  try {
    const raw = await readBody(stream, request.sinkOf(ticket), config.bodyWaitMax)
    if (raw === undefined) {
      ticket.release()
      return undefined
    }
    const encoding = request.encodingOf()
    if (encoding === 'identity') return { body: raw, ticket }
    // From here on only what comes out is counted, or the largest request could not be compressed.
    ticket.release()
    return { body: await inflate(raw, encoding, { pool, ticket, limits }), ticket }
  } catch (error) {
    ticket.release()
    throw error
  }
}

async function admitted(edge: Edge, tenant: string, contentLength: number): Promise<Ticket> {
  try {
    return edge.admission.open(tenant, contentLength)
  } catch (error) {
    await edge.holdRefusal()
    throw error
  }
}

/** Counts a refused request; one that is a defect is logged, because its client is told nothing. */
export function refuse(edge: Edge, error: unknown): Refusal {
  const refused = refusalOf(error)
  if (refused.kind === 'internal') edge.log.error('receiver.request_failed', error)
  return refused
}
