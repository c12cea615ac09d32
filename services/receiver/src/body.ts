import { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { PipelineError } from '@winnow/runtime'
import type { Ticket } from './admission.ts'
import type { BodyPool } from './body-pool.ts'

/** The bytes of one request. `release` gives their memory to the next one: nobody may read them after. */
export interface Body {
  readonly bytes: Buffer
  release(): void
}

export interface BodyLimits {
  /** Of this body, by its name in the configuration. */
  readonly bytesMax: number
  readonly limitName: string
}

/** Where the chunks of a body go. After `add` or `finish` has thrown it is for `discard` only. */
export interface BodySink {
  add(chunk: Uint8Array): void
  finish(): Body
  /** Gives the memory back. May be called twice. */
  discard(): void
}

/** Grows in pooled memory, and refuses what goes over its limit or its ticket. */
export class BodyBuilder implements BodySink {
  readonly #pool: BodyPool
  readonly #ticket: Ticket
  readonly #limits: BodyLimits
  readonly #expectedBytes: number
  #buffer: Buffer = nothing
  #length = 0

  /**
   * `expectedBytes` is a sender's word: memory is set aside for it only once {@link firstBytes} have
   * come, so that thousands of clients which announce much and send nothing hold next to nothing.
   */
  constructor(pool: BodyPool, ticket: Ticket, limits: BodyLimits, expectedBytes: number) {
    this.#pool = pool
    this.#ticket = ticket
    this.#limits = limits
    const isPromise = expectedBytes > 0 && expectedBytes <= limits.bytesMax
    this.#expectedBytes = isPromise ? Math.min(expectedBytes, promisedBytesMax) : 0
  }

  /** Throws PAYLOAD_TOO_LARGE or QUOTA_EXCEEDED. */
  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.length
    if (length > this.#limits.bytesMax) throw tooLarge(this.#limits)
    this.#ticket.take(chunk.length)
    if (length > this.#buffer.length) this.#grow(length)
    this.#buffer.set(chunk, this.#length)
    this.#length = length
  }

  #grow(length: number): void {
    const isFirst = this.#length === 0
    const wanted = isFirst
      ? Math.min(this.#expectedBytes, firstBytes)
      : Math.max(this.#expectedBytes, this.#buffer.length * 2)
    const longer = this.#pool.take(Math.max(length, wanted))
    this.#buffer.copy(longer, 0, 0, this.#length)
    if (!isFirst) this.#pool.give(this.#buffer)
    this.#buffer = longer
  }

  finish(): Body {
    return { bytes: this.#buffer.subarray(0, this.#length), release: () => this.discard() }
  }

  discard(): void {
    if (this.#buffer.length > 0) this.#pool.give(this.#buffer)
    this.#buffer = nothing
  }
}

const nothing: Buffer = Buffer.alloc(0)

const firstBytes = 64 * 1024

/** So much is set aside for a length that was announced; what is longer grows by doubling. */
const promisedBytesMax = 4 * 1024 * 1024

export function tooLarge({ bytesMax, limitName }: BodyLimits): PipelineError {
  return new PipelineError(
    'PAYLOAD_TOO_LARGE',
    `the request is larger than ${bytesMax} bytes (${limitName}); send smaller batches`,
  )
}

/**
 * Gives the memory of a chunk back that has been copied. Those of Node's HTTP/1 parser are up to 64 KiB
 * each and nobody else's, and the collector counts them but finds them late: left to it, a full
 * collection came every 18 MB of bodies. A view of memory that others may have too is left alone.
 */
export function freeAtOnce(chunk: Buffer): void {
  const { buffer } = chunk
  if (buffer instanceof ArrayBuffer && buffer.byteLength === chunk.length) buffer.transfer(0)
}

/**
 * Reads a request to its end. Undefined: the client went away. Rejects with what the sink throws,
 * and with QUOTA_EXCEEDED when it takes longer than `waitMs`: a slow sender may come again.
 */
export function readBody(
  stream: Readable,
  sink: BodySink,
  waitMs: number,
): Promise<Body | undefined> {
  const isParsed = stream instanceof IncomingMessage
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      stream.off('data', onData).off('end', onEnd).off('close', onGone).off('error', onGone)
      // Whoever answers decides what becomes of the rest; an error after this has no reader.
      stream.on('error', () => {})
      act()
    }
    const fail = (error: unknown): void =>
      settle(() => {
        sink.discard()
        reject(error)
      })
    const onData = (chunk: Buffer): void => {
      try {
        sink.add(chunk)
        if (isParsed) freeAtOnce(chunk)
      } catch (error) {
        fail(error)
      }
    }
    const onEnd = (): void =>
      settle(() => {
        try {
          resolve(sink.finish())
        } catch (error) {
          sink.discard()
          reject(error)
        }
      })
    const onGone = (): void =>
      settle(() => {
        sink.discard()
        resolve(undefined)
      })
    const timer = setTimeout(() => {
      const what = `the body was not complete after ${waitMs} ms (bodyWaitMax)`
      fail(new PipelineError('QUOTA_EXCEEDED', `${what}; send smaller batches, or again later`))
    }, waitMs)
    stream.on('data', onData).on('end', onEnd).on('close', onGone).on('error', onGone)
  })
}
