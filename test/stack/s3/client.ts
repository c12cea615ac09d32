import { S3Client } from '@aws-sdk/client-s3'
import type { TestS3 } from '../s3.ts'

/** The SDK's own client, for what a test does behind the adapter's back. */
export function s3Client(
  place: Pick<TestS3, 'endpoint' | 'region' | 'accessKeyId' | 'secretAccessKey'>,
): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = place
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  })
}
