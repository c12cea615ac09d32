import type { IncomingMessage } from 'node:http'
import { connect } from 'node:tls'
import {
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3'
import type { Log } from '@winnow/runtime'
import { type S3BlobStore, type S3Options, surveyLifecycle } from '@winnow/storage'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FaultProxy } from './fault-proxy.ts'
import { s3Client } from './s3/client.ts'
import { sharedS3 } from './s3/shared.ts'
import { openS3Store, s3Options } from './s3/store.ts'
import type { TestS3 } from './s3.ts'

// What the start of a store finds out: mistakes in the configuration, by the key that has to be set
// right, and what a server does not have.

const s3proxy = await sharedS3({ server: 's3proxy' })
const versitygw = await sharedS3({ server: 'versitygw' })
const s3mock = await sharedS3({ server: 's3mock' })

const dayMs = 86_400_000
const secret = 'a-wrong-secret'

async function opened(s3: TestS3, options: Partial<S3Options>): Promise<S3BlobStore> {
  const store = await openS3Store(s3, { attempts: 2, ...options })
  onTestFinished(() => store.close())
  return store
}

/** What opening says; it names no secret. */
async function mistake(s3: TestS3, options: Partial<S3Options>): Promise<string> {
  for (const mayWrite of [true, false]) {
    const failed = opened(s3, { ...options, mayWrite })
    await expect(failed).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(failed).rejects.not.toThrow(new RegExp(`${secret}|${s3.secretAccessKey}`))
  }
  return opened(s3, options).then(
    () => 'opened',
    (error: Error) => error.message,
  )
}

/** What a store warns of, by kind, with the first field. */
function warnings(): { readonly log: Log; readonly said: string[] } {
  const said: string[] = []
  const note = (kind: string, fields: object = {}): void => {
    said.push(`${kind} ${Object.values(fields).join(' ')}`)
  }
  const log = { info: () => {}, warn: note, error: (kind: string) => note(kind) }
  return { log, said }
}

describe.runIf(s3proxy !== undefined && versitygw !== undefined)('mistakes', () => {
  const both = (): TestS3[] => [s3proxy as TestS3, versitygw as TestS3]

  test('a wrong secret', async () => {
    for (const s3 of both()) {
      const credentials = { accessKeyId: s3.accessKeyId, secretAccessKey: secret }
      expect(await mistake(s3, { credentials })).toMatch(
        /blobs s3:\/\/winnow.* at s3\.endpoint http.*403 SignatureDoesNotMatch: correct s3\.accessKeyId/,
      )
    }
  })

  test('a key id that nobody knows, which one server answers with 404', async () => {
    const codes = ['403 InvalidAccessKeyId', '404 XAdminUserNotFound']
    for (const [at, s3] of both().entries()) {
      const credentials = { accessKeyId: 'nobody', secretAccessKey: secret }
      const said = await mistake(s3, { credentials })
      expect(said).toContain(`${codes[at]}: correct s3.accessKeyId and s3.secretAccessKey`)
    }
  })

  test('a bucket that is not there', async () => {
    for (const s3 of both()) {
      expect(await mistake(s3, { bucket: 'not-there' })).toMatch(
        /blobs s3:\/\/not-there\/.*404 NoSuchBucket: make the bucket, or name another one in blobs/,
      )
    }
  })

  test('another region than the bucket’s', async () => {
    expect(await mistake(versitygw as TestS3, { region: 'eu-west-9' })).toMatch(
      /in s3\.region eu-west-9: .* set s3\.region to the region of the bucket/,
    )
  })

  test('a host that nobody knows, and TLS where there is none', async () => {
    const host = await mistake(s3proxy as TestS3, { endpoint: 'http://nowhere.invalid:1' })
    expect(host).toMatch(/ENOTFOUND: correct the host in s3\.endpoint/)
    const { endpoint } = s3proxy as TestS3
    const tls = await mistake(s3proxy as TestS3, { endpoint: endpoint.replace('http', 'https') })
    expect(tls).toMatch(/EPROTO: the server speaks no TLS: write http:\/\/ in s3\.endpoint/)
  })

  test('a server that is not there is an outage, not a mistake', async () => {
    const away = opened(s3proxy as TestS3, { endpoint: 'http://127.0.0.1:1' })
    await expect(away).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(away).rejects.toThrow(
      /ECONNREFUSED: see that the server runs and that s3.endpoint/,
    )
  })

  test('a server that ignores If-None-Match is refused by name', async () => {
    const proxy = await FaultProxy.start((s3proxy as TestS3).endpoint)
    onTestFinished(() => proxy.close())
    let puts = 0
    // The second create of one key is told that it did it.
    const match = ({ method }: IncomingMessage): boolean => method === 'PUT' && ++puts === 2
    proxy.add({ match, fault: { kind: 'status', status: 200 } })
    const refused = opened(s3proxy as TestS3, { endpoint: proxy.url })
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    await expect(refused).rejects.toThrow(/blobs s3:.* does not honour If-None-Match/)
    // Who only reads need not know.
    await opened(s3proxy as TestS3, { endpoint: proxy.url, mayWrite: false })
  })

  test('a server without conditions says so, and is refused too', async () => {
    const proxy = await FaultProxy.start((s3proxy as TestS3).endpoint)
    onTestFinished(() => proxy.close())
    const body = '<Error><Code>NotImplemented</Code></Error>'
    const headers = { 'content-type': 'application/xml' }
    const fault = { kind: 'status', status: 501, headers, body } as const
    proxy.add({ match: ({ method }) => method === 'PUT', fault })
    const refused = opened(s3proxy as TestS3, { endpoint: proxy.url })
    await expect(refused).rejects.toThrow(/does not honour If-None-Match/)
  })

  test('what the start tries leaves nothing behind', async () => {
    for (const s3 of both()) {
      const options = s3Options(s3, { classes: { warm: 'STANDARD_IA' } })
      await opened(s3, options)
      const client = s3Client(s3)
      onTestFinished(() => client.destroy())
      const command = new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: options.prefix })
      expect((await client.send(command)).Contents ?? []).toEqual([])
    }
  })
})

describe.runIf(s3proxy !== undefined && versitygw !== undefined)('storage classes', () => {
  test('each tier gets the class that is set for it, and nothing else any', async () => {
    const options = s3Options(s3proxy as TestS3, {
      classes: { warm: 'STANDARD_IA', cold: 'GLACIER_IR' },
    })
    const { log, said } = warnings()
    const store = await opened(s3proxy as TestS3, { ...options, log })
    expect(said).toEqual([])
    const client = s3Client(s3proxy as TestS3)
    onTestFinished(() => client.destroy())
    const classes: Record<string, string> = {}
    for (const tier of ['warm', 'cold', 'ledger', 'index']) {
      await store.create(`${tier}/x.parquet`, new Uint8Array(1))
      const Key = `${options.prefix}/${tier}/x.parquet`
      const head = await client.send(new HeadObjectCommand({ Bucket: options.bucket, Key }))
      classes[tier] = head.StorageClass ?? 'STANDARD'
    }
    expect(classes).toEqual({
      warm: 'STANDARD_IA',
      cold: 'GLACIER_IR',
      ledger: 'STANDARD',
      index: 'STANDARD',
    })
  })

  test('a server that ignores a class, or refuses it, is a warning, and is used without', async () => {
    const classes = { warm: 'STANDARD_IA' } as const
    const ignored = warnings()
    const store = await opened(versitygw as TestS3, { classes, log: ignored.log })
    expect(ignored.said).toEqual(['blobs.class_unsupported s3.warmClass STANDARD_IA STANDARD'])
    expect(await store.create('warm/x.parquet', new Uint8Array(1))).toBe(true)

    const proxy = await FaultProxy.start((s3proxy as TestS3).endpoint)
    onTestFinished(() => proxy.close())
    const body = '<Error><Code>InvalidStorageClass</Code></Error>'
    const headers = { 'content-type': 'application/xml' }
    const fault = { kind: 'status', status: 400, headers, body } as const
    const match = (from: IncomingMessage): boolean =>
      from.headers['x-amz-storage-class'] !== undefined
    proxy.add({ match, fault })
    const refused = warnings()
    const other = await opened(s3proxy as TestS3, {
      endpoint: proxy.url,
      classes,
      log: refused.log,
    })
    expect(refused.said).toEqual(['blobs.class_unsupported s3.warmClass STANDARD_IA refused'])
    expect(await other.create('warm/x.parquet', new Uint8Array(1))).toBe(true)
  })
})

describe.runIf(s3mock !== undefined)('lifecycle rules', () => {
  const lifecycleMs = { warm: 30 * dayMs, cold: 365 * dayMs, ledger: 365.5 * dayMs }

  test('they are put, read back, and changed; those of others stay', async () => {
    const s3 = s3mock as TestS3
    const client = s3Client(s3)
    onTestFinished(() => client.destroy())
    const Bucket = s3.bucket
    const foreign = {
      ID: 'theirs',
      Status: 'Enabled',
      Filter: { Prefix: 'theirs/' },
      Expiration: { Days: 3 },
    } as const
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: { Rules: [foreign] },
      }),
    )
    const rules = async () => {
      const got = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
      return (got.Rules ?? []).map(rule => `${rule.Filter?.Prefix} ${rule.Expiration?.Days}`).sort()
    }
    const { log, said } = warnings()
    await opened(s3, { prefix: 'a', lifecycleMs, log })
    const ofA = ['a/cold/ 366', 'a/ids/ 367', 'a/ledger/ 367', 'a/warm/ 31']
    expect(await rules()).toEqual([...ofA, 'theirs/ 3'])
    await opened(s3, { prefix: 'b', lifecycleMs: { ...lifecycleMs, warm: dayMs }, log })
    const ofB = ['b/cold/ 366', 'b/ids/ 367', 'b/ledger/ 367', 'b/warm/ 2']
    expect(await rules()).toEqual([...ofA, ...ofB, 'theirs/ 3'])
    await opened(s3, { prefix: 'b', lifecycleMs, log })
    expect(await rules()).toContain('b/warm/ 31')
    expect(said).toEqual([])
  })

  test('they are read back: absent, as configured, changed by somebody, deleting too early', async () => {
    const s3 = s3mock as TestS3
    const options = s3Options(s3, { prefix: 'read' })
    const client = s3Client(s3)
    onTestFinished(() => client.destroy())
    const Bucket = s3.bucket
    const ofBucket = async () => {
      const got = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
      return got.Rules ?? []
    }
    const problems = async (wanted = true) => {
      const survey = await surveyLifecycle(options, lifecycleMs, wanted)
      const found = survey.kind === 'read' ? survey.problems : []
      return found.map(({ says }) => says)
    }
    const absent = (folder: string) => `absent: nothing in the bucket deletes read/${folder}/`
    // A bucket that never had a rule has no such document either.
    expect(await problems()).toEqual(['warm', 'cold', 'ledger', 'ids'].map(absent))
    expect(await problems(false)).toEqual([])
    await opened(s3, { prefix: 'read', lifecycleMs })
    expect(await problems()).toEqual([])
    const rules = (await ofBucket()).map(rule =>
      rule.Filter?.Prefix === 'read/warm/' ? { ...rule, Expiration: { Days: 3 } } : rule,
    )
    const early = { ID: 'early', Status: 'Enabled', Filter: { Prefix: 'read/cold/' } } as const
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: { Rules: [...rules, { ...early, Expiration: { Days: 90 } }] },
      }),
    )
    expect(await problems()).toEqual([
      'read/warm/ after 3 days, not read/warm/ after 31 days as configured',
      'deletes read/cold/ after 90 days, before its time is over',
    ])
    if (versitygw === undefined) return
    expect(await surveyLifecycle(s3Options(versitygw), lifecycleMs, true)).toEqual({
      kind: 'unsupported',
    })
  })

  test('rules that are so already are not put again', async () => {
    const s3 = s3mock as TestS3
    await opened(s3, { prefix: 'same', lifecycleMs })
    const proxy = await FaultProxy.start(s3.endpoint)
    onTestFinished(() => proxy.close())
    await opened(s3, { prefix: 'same', lifecycleMs, endpoint: proxy.url })
    const asked = proxy.seen.filter(({ url }) => url.includes('lifecycle'))
    expect(asked.map(({ method }) => method)).toEqual(['GET'])
  })

  test.runIf(versitygw !== undefined)('a server without them is a warning', async () => {
    const { log, said } = warnings()
    await opened(versitygw as TestS3, { lifecycleMs, log })
    expect(said.length).toBe(1)
    expect(said[0]).toMatch(/^blobs\.lifecycle_unsupported .*the writer deletes/)
  })
})

describe.runIf(s3mock !== undefined)('TLS', () => {
  test('a certificate that nobody knows is refused, by key, and taken with s3.caFile', async () => {
    const s3 = s3mock as TestS3
    const endpoint = s3.tlsEndpoint as string
    const said = await mistake(s3, { endpoint })
    expect(said).toMatch(/(SELF_SIGNED|ALTNAME|LEAF|EXPIRED).*(s3\.caFile|s3\.endpoint)/)
    const { certificate, names } = await certificateOf(endpoint)
    const known = names.includes('localhost')
      ? endpoint.replace('127.0.0.1', 'localhost')
      : endpoint
    const store = await opened(s3, { endpoint: known, ca: certificate })
    expect(await store.create('warm/x.parquet', new Uint8Array(1))).toBe(true)
  })
})

/** PEM, and the names it has. */
async function certificateOf(
  endpoint: string,
): Promise<{ readonly certificate: string; readonly names: string }> {
  const { hostname, port } = new URL(endpoint)
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: hostname, port: Number(port), rejectUnauthorized: false },
      () => {
        const { raw, subjectaltname = '' } = socket.getPeerCertificate()
        const text = raw.toString('base64').replaceAll(/(.{64})/g, '$1\n')
        const certificate = `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`
        socket.destroy()
        resolve({ certificate, names: subjectaltname })
      },
    )
    socket.on('error', reject)
  })
}
