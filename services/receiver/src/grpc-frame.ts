import { PipelineError } from '@winnow/runtime'
import type { Ticket } from './admission.ts'
import { type Body, BodyBuilder, type BodyLimits, type BodySink, tooLarge } from './body.ts'
import type { BodyPool } from './body-pool.ts'

/** A flag (1: compressed) and a length of four bytes, big endian, in front of every message. */
export const framePrefixBytes = 5

/** The one message of a unary call. Its length is checked as soon as it is known. */
export class FrameSink implements BodySink {
  readonly #pool: BodyPool
  readonly #ticket: Ticket
  readonly #limits: BodyLimits
  readonly #prefix = Buffer.alloc(framePrefixBytes)
  #prefixLength = 0
  #message: BodyBuilder | undefined
  #left = 0

  constructor(pool: BodyPool, ticket: Ticket, limits: BodyLimits) {
    this.#pool = pool
    this.#ticket = ticket
    this.#limits = limits
  }

  get isCompressed(): boolean {
    return this.#prefix[0] === 1
  }

  add(chunk: Uint8Array): void {
    let at = 0
    while (this.#prefixLength < framePrefixBytes && at < chunk.length) {
      this.#prefix[this.#prefixLength++] = chunk[at++] as number
    }
    if (this.#prefixLength < framePrefixBytes) return
    this.#message ??= this.#open()
    const rest = chunk.subarray(at)
    this.#left -= rest.length
    if (this.#left < 0) throw invalid('more than one message came; the method takes one')
    if (rest.length > 0) this.#message.add(rest)
  }

  finish(): Body {
    if (this.#message === undefined || this.#left > 0) {
      throw invalid('the message ends before its length')
    }
    return this.#message.finish()
  }

  discard(): void {
    this.#message?.discard()
  }

  #open(): BodyBuilder {
    if ((this.#prefix[0] as number) > 1) throw invalid('the first byte of a message is 0 or 1')
    this.#left = this.#prefix.readUInt32BE(1)
    if (this.#left > this.#limits.bytesMax) throw tooLarge(this.#limits)
    return new BodyBuilder(this.#pool, this.#ticket, this.#limits, this.#left)
  }
}

function invalid(what: string): PipelineError {
  return new PipelineError('PAYLOAD_INVALID', `not a gRPC message: ${what}`)
}
