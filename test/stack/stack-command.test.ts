// What the README tells who has none of the four servers: `npm run stack`, then `winnow up` on them.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import process from 'node:process'
import { parseEnv } from 'node:util'
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import { OtlpClient, trace48f, trace48fId } from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startWinnow, winnow } from '../support/winnow-process.ts'
import { refuse } from './refuse.ts'
import { s3Client } from './s3/client.ts'

const command = resolve(import.meta.dirname, 'command.ts')
const waits = { timeout: 120_000, interval: 500 }

test('the stack prints what `winnow up` needs to keep trace 48f in OpenSearch and S3, and ends on SIGTERM', {
  timeout: 400_000,
}, async ({ skip }) => {
  const stack = spawn(process.execPath, [command], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => {
    stack.kill('SIGKILL')
  })
  const exited = once(stack, 'exit')
  let printed = ''
  let said = ''
  stack.stdout.on('data', text => {
    printed += text
  })
  stack.stderr.on('data', text => {
    said += text
  })
  const ended = exited.then(([code]) => code as number | null)
  const isReady = vi.waitFor(() => expect(said).toContain('ready after'), {
    timeout: 240_000,
    interval: 100,
  })
  if ((await Promise.race([isReady.then(() => 'ready'), ended])) !== 'ready') refuse(skip, said)
  const env = parseEnv(printed) as Record<string, string>
  expect(Object.keys(env)).toEqual(
    expect.arrayContaining(['WINNOW_BUS', 'WINNOW_BUFFER', 'WINNOW_HOT', 'WINNOW_BLOBS']),
  )
  const running = await startWinnow({ env })
  onTestFinished(async () => {
    await running.kill9()
    running.clean()
  })
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  await client.sendTraces(trace48f({ startMs: Date.now() }))
  client.close()
  const url = ['--url', `http://${running.api}`]
  const isKept = async (): Promise<void> => {
    expect((await winnow(['trace', trace48fId, ...url])).stdout).toContain('refund_chat.turn')
  }
  await vi.waitFor(isKept, waits)
  // A search sees a bulk's documents shard by shard, as each is refreshed.
  const isFound = async (): Promise<void> => {
    const found = await fetch(`${env.WINNOW_HOT}/winnow-spans-*/_count?q=traceId:${trace48fId}`)
    expect(await found.json()).toMatchObject({ count: 8 })
  }
  await vi.waitFor(isFound, waits)
  expect(await running.stop()).toBe(0)
  await expectListed(env)
  stack.kill('SIGTERM')
  expect(await ended).toBe(0)
})

/** `winnow cost` says what the bucket's own listing says, to the byte; `winnow audit` agrees until somebody adds to it. */
async function expectListed(env: Record<string, string>): Promise<void> {
  const { stdout, stderr } = await winnow(['cost', '--json'], env)
  if (stdout === '') throw new Error(stderr)
  const { stored } = JSON.parse(stdout) as {
    stored: { where: string; bytes: number; objects: number }[]
  }
  const client = s3Client({
    endpoint: env.WINNOW_S3_ENDPOINT ?? '',
    region: 'us-east-1',
    accessKeyId: env.WINNOW_S3_ACCESS_KEY_ID ?? '',
    secretAccessKey: env.WINNOW_S3_SECRET_ACCESS_KEY ?? '',
  })
  const Bucket = env.WINNOW_BLOBS?.slice('s3://'.length)
  for (const { where, bytes, objects } of stored) {
    if (where === 'hot') continue
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: where }))
    const sum = Contents.reduce((total, { Size = 0 }) => total + Size, 0)
    expect({ where, bytes, objects }).toEqual({ where, bytes: sum, objects: Contents.length })
  }
  const objectsOf = (where: string) => stored.find(one => one.where === where)?.objects ?? 0
  expect(objectsOf('warm/')).toBeGreaterThan(0)
  expect(stored.find(({ where }) => where === 'hot')?.bytes).toBeGreaterThan(0)
  const agreed = await winnow(['audit', '--full'], env)
  expect(agreed, agreed.stdout).toMatchObject({ code: 0 })
  const Key = 'warm/date=2026-11-21/p=0000/copy.parquet'
  await client.send(new PutObjectCommand({ Bucket, Key, Body: 'somebody’s' }))
  const found = await winnow(['audit'], env)
  expect(found.code).toBe(1)
  expect(found.stdout).toContain(`✗ foreign ${Key}: no writer gives such a name`)
}
