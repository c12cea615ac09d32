// docker-compose.yml runs this once: it makes the bucket that WINNOW_BLOBS names, as soon as its server answers.
// For trying things out; elsewhere whoever owns the account makes the bucket.

import { readFileSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { CreateBucketCommand, HeadBucketCommand, S3Client } from '@aws-sdk/client-s3'

const attemptsMax = 60

const {
  WINNOW_BLOBS = '',
  WINNOW_S3_ENDPOINT = '',
  WINNOW_S3_ACCESS_KEY_ID = '',
  WINNOW_S3_SECRET_ACCESS_KEY_FILE = '',
} = process.env
const Bucket = /^s3:\/\/([^/]+)/.exec(WINNOW_BLOBS)?.[1] ?? ''
const client = new S3Client({
  region: 'us-east-1',
  endpoint: WINNOW_S3_ENDPOINT,
  forcePathStyle: true,
  credentials: {
    accessKeyId: WINNOW_S3_ACCESS_KEY_ID,
    secretAccessKey: readFileSync(WINNOW_S3_SECRET_ACCESS_KEY_FILE, 'utf8').trim(),
  },
})

for (let attempt = 1; ; attempt++) {
  try {
    await make()
    process.stderr.write(`${Bucket} is there\n`)
    break
  } catch (error) {
    if (attempt >= attemptsMax) throw error
    await sleep(1_000)
  }
}

async function make(): Promise<void> {
  const isThere = await client.send(new HeadBucketCommand({ Bucket })).then(
    () => true,
    () => false,
  )
  if (!isThere) await client.send(new CreateBucketCommand({ Bucket }))
}
