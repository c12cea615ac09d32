import {
  createGunzip,
  createInflate,
  createZstdDecompress,
  type Gunzip,
  type Inflate,
  type ZstdDecompress,
} from 'node:zlib'
import { assertNever } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { Ticket } from './admission.ts'
import { type Body, BodyBuilder, type BodyLimits } from './body.ts'
import type { BodyPool } from './body-pool.ts'

export type ContentEncoding = 'identity' | 'gzip' | 'zstd' | 'deflate'

/** Undefined for an encoding that is not known. `x-gzip` is HTTP's old name of gzip. */
export function contentEncodingOf(header: string | undefined): ContentEncoding | undefined {
  const name = (header ?? '').trim().toLowerCase()
  if (name === '') return 'identity'
  if (name === 'x-gzip') return 'gzip'
  return encodings.find(encoding => encoding === name)
}

const encodings = ['identity', 'gzip', 'zstd', 'deflate'] as const

/** What a refused client is told, and gRPC's `grpc-accept-encoding`. */
export const acceptedEncodings = encodings.join(',')

/**
 * Decompresses outside the main thread, counting every byte that comes out, so that a bomb is refused
 * after `bytesMax` and never held. Takes `body` over: its memory is released. Rejects with
 * PAYLOAD_TOO_LARGE, QUOTA_EXCEEDED, and PAYLOAD_INVALID for bytes that are not what they are called.
 */
export async function inflate(
  body: Body,
  encoding: ContentEncoding,
  parts: { readonly pool: BodyPool; readonly ticket: Ticket; readonly limits: BodyLimits },
): Promise<Body> {
  if (encoding === 'identity') return body
  const { pool, ticket, limits } = parts
  const builder = new BodyBuilder(pool, ticket, limits, body.bytes.length * usualRatio)
  const stream = inflaterOf(encoding)
  try {
    stream.end(body.bytes)
    for await (const chunk of stream) builder.add(chunk as Buffer)
    // zlib stops at the end of the first frame and says nothing of what follows: spans would be lost.
    if (stream.bytesWritten < body.bytes.length) throw new Error('bytes after the end')
    return builder.finish()
  } catch (error) {
    builder.discard()
    if (error instanceof PipelineError) throw error
    throw new PipelineError(
      'PAYLOAD_INVALID',
      `the body is not one whole ${encoding} stream; send what its content encoding says`,
      { cause: error },
    )
  } finally {
    // A write still in the thread pool may read bytes of the next body: its output has no reader.
    stream.destroy()
    body.release()
  }
}

function inflaterOf(
  encoding: Exclude<ContentEncoding, 'identity'>,
): Gunzip | Inflate | ZstdDecompress {
  switch (encoding) {
    case 'gzip':
      return createGunzip({ chunkSize: chunkBytes })
    case 'deflate':
      return createInflate({ chunkSize: chunkBytes })
    case 'zstd':
      return createZstdDecompress({ chunkSize: chunkBytes })
    default:
      return assertNever(encoding)
  }
}

/** One turn of the thread pool and of the event loop for each. */
const chunkBytes = 128 * 1024

/** How much larger spans are than their gzip, as a first guess. */
const usualRatio = 6
