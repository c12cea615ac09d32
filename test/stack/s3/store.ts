import { randomUUID } from 'node:crypto'
import { Metrics, silentLog } from '@winnow/runtime'
import { S3BlobStore, type S3Options } from '@winnow/storage'
import type { TestS3 } from '../s3.ts'

/** What opens a store in a place of its own within the server's bucket, quick to give up. */
export function s3Options(s3: TestS3, options: Partial<S3Options> = {}): S3Options {
  const { endpoint, bucket, accessKeyId, secretAccessKey } = s3
  return {
    bucket,
    prefix: `test/${randomUUID()}`,
    endpoint,
    credentials: { accessKeyId, secretAccessKey },
    requestTimeoutMs: 30_000,
    attempts: 5,
    connections: 16,
    classes: {},
    mayWrite: true,
    log: silentLog,
    metrics: new Metrics(),
    ...options,
  }
}

export function openS3Store(s3: TestS3, options: Partial<S3Options> = {}): Promise<S3BlobStore> {
  return S3BlobStore.open(s3Options(s3, options))
}
