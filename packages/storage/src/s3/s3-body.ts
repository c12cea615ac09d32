import type { Readable } from 'node:stream'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { BadBody } from './s3-problem.ts'
import type { S3Attempt } from './s3-requests.ts'

/**
 * The body, in memory of its own: the SDK's way to it copies it twice, and says nothing of one that
 * ends where it should not.
 */
export async function readBody(
  output: GetObjectCommandOutput,
  attempt: S3Attempt,
): Promise<Uint8Array<ArrayBuffer>> {
  const length = output.ContentLength
  if (length === undefined) throw new BadBody('torn', 'an answer that does not say its length')
  attempt.expect(length)
  const body = output.Body as Readable
  const bytes = new Uint8Array(length)
  const stop = (): void => {
    body.destroy()
  }
  attempt.signal.addEventListener('abort', stop, { once: true })
  let filled = 0
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      if (filled + chunk.length > length) throw new BadBody('torn', 'a body longer than it says')
      bytes.set(chunk, filled)
      filled += chunk.length
    }
  } finally {
    attempt.signal.removeEventListener('abort', stop)
    stop()
  }
  if (filled === length) return bytes
  throw new BadBody('torn', `a body that ended after ${filled} of ${length} bytes`)
}
