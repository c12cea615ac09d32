import type { TestS3 } from '../s3.ts'

/** The same place with everything that follows from it. */
export function placeOf(place: {
  readonly endpoint: string
  readonly bucket: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
}): Omit<TestS3, 'kill9' | 'restart' | 'stop'> {
  return {
    ...place,
    region: 'us-east-1',
    env: {
      WINNOW_BLOBS: `s3://${place.bucket}`,
      WINNOW_S3_ENDPOINT: place.endpoint,
      WINNOW_S3_ACCESS_KEY_ID: place.accessKeyId,
      WINNOW_S3_SECRET_ACCESS_KEY: place.secretAccessKey,
    },
  }
}
