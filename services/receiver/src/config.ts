import { bytesKey, durationKey } from '@winnow/runtime'
import { z } from 'zod'

/** Every limit and wait of a receiver; the README of this service lists them with what happens past each. */
export const receiverConfigSchema = z
  .strictObject({
    /** A request, as sent and after decompression. */
    requestBytesMax: bytesKey('64MiB'),
    /** Bodies that are held in memory, of all tenants and of one. */
    inflightBytesMax: bytesKey('256MiB'),
    inflightBytesPerTenantMax: bytesKey('64MiB'),
    /** How long a request waits for the bus before it is told to come again. */
    appendWaitMax: durationKey('5s'),
    /** How long a body may take to arrive. */
    bodyWaitMax: durationKey('30s'),
    /** How long `stop` waits for requests that are under way. */
    stopWaitMax: durationKey('10s'),
    /** A larger span is refused alone; so are the spans of a larger resource or scope. */
    spanBytesMax: bytesKey('1MiB'),
    headBytesMax: bytesKey('1MiB'),
    /** What a request may become when each span repeats its resource and scope. */
    composedBytesMax: bytesKey('256MiB'),
    /** A record of `spans`: never larger than this, and sent once it has the target. */
    recordBytesMax: bytesKey('4MiB'),
    recordBytesTarget: bytesKey('128KiB'),
    /** Spans in one slice; a trace with more in one record has several. */
    sliceSpansMax: z.int().min(1).max(100_000).default(2000),
    /** How long spans may wait for others while an append is under way. 0: for its end, as the file bus wants. */
    linger: durationKey('50ms'),
    /** A span that starts further ahead of this machine's clock is taken, with a warning. */
    clockSkewMax: durationKey('10min'),
    /** What a refused client is told to wait. */
    retryDelay: durationKey('1s'),
    /** Longest time an acknowledgement is held while the stages of this process lag. */
    lagHoldMax: durationKey('1s'),
    connectionsMax: z.int().min(1).max(1_000_000).default(10_000),
    /** Evaluations in one request, and the bytes of a comment and of the body. */
    evaluationsMax: z.int().min(1).max(100_000).default(1000),
    evaluationCommentBytesMax: bytesKey('16KiB'),
    evaluationBodyBytesMax: bytesKey('4MiB'),
    /** Origins of browsers that may send, as `https://app.example`. */
    corsOrigins: z
      .array(z.string().refine(isOrigin, 'is no origin: use https://app.example, without a path'))
      .max(100)
      .default([]),
  })
  .refine(config => config.recordBytesTarget <= config.recordBytesMax, {
    path: ['recordBytesTarget'],
    message: 'is above recordBytesMax',
  })
  .refine(
    config =>
      config.spanBytesMax + 2 * config.headBytesMax + envelopeBytes <= config.recordBytesMax,
    {
      path: ['spanBytesMax'],
      message:
        'with twice headBytesMax is above recordBytesMax: a span is written beside its heads',
    },
  )
  .refine(
    config =>
      config.requestBytesMax <= Math.min(config.inflightBytesMax, config.inflightBytesPerTenantMax),
    {
      path: ['requestBytesMax'],
      message:
        'is above inflightBytesMax or inflightBytesPerTenantMax: the largest request could never be taken',
    },
  )
  .prefault({})

/** As a browser says it: anything else would never be the origin of a page. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

export type ReceiverConfig = z.infer<typeof receiverConfigSchema>

/** Tags and lengths around a span, its scope and its resource. */
const envelopeBytes = 64

/** Streams that one HTTP/2 connection may have open. */
export const streamsPerConnectionMax = 256

/** A connection that has sent nothing yet, or not all of its headers. */
export const headersWaitMs = 30_000
