import { randomUUID } from 'node:crypto'
import { PipelineError } from '@winnow/runtime'
import type { Tier } from '../segments/segment-key.ts'
import { putLifecycle } from './s3-lifecycle.ts'
import { baseOf, type S3Class, type S3Options, s3Name } from './s3-options.ts'
import type { S3Call, S3Operation, S3Requests } from './s3-requests.ts'

/**
 * Tries what will be needed, so that a wrong address, key, bucket, region or right ends the start and
 * not the first segment an hour later. Rejects as requests do while starting, and with CONFIG_INVALID for a
 * server on which two writers could both create one object. Answers with the classes that the server
 * has; of others, and of lifecycle rules that it does not have, it warns.
 *
 * What it puts lies under `probe/`, is empty, and is deleted again.
 */
export async function checkS3(
  requests: S3Requests,
  options: S3Options,
): Promise<ReadonlyMap<string, S3Class>> {
  const check = new Check(requests, options)
  await check.list()
  if (!options.mayWrite) return new Map()
  await check.conditions()
  const classes = await check.classes()
  if (options.lifecycleMs !== undefined) await putLifecycle(requests, options, options.lifecycleMs)
  return classes
}

class Check {
  readonly #requests: S3Requests
  readonly #options: S3Options

  constructor(requests: S3Requests, options: S3Options) {
    this.#requests = requests
    this.#options = options
  }

  /** Of all requests the one that tells most apart: its answer has a body, unlike that to a HEAD. */
  async list(): Promise<void> {
    const { client, sdk } = this.#requests
    const Prefix = baseOf(this.#options)
    const command = new sdk.ListObjectsV2Command({ Bucket: this.#bucket, Prefix, MaxKeys: 1 })
    await this.#requests.call(call('list', 'listing one object'), ({ signal }) =>
      client.send(command, { abortSignal: signal }),
    )
  }

  /** The second create of one key has to be refused, and the first one's mark has to be kept. */
  async conditions(): Promise<void> {
    const key = this.#key()
    try {
      const first = await this.#put(key, 'first', undefined)
      const second = first === 'unsupported' ? first : await this.#put(key, 'second', undefined)
      if (second !== 'exists') {
        throw this.#refusal(
          'does not honour If-None-Match, so that two writers could overwrite each other’s segments',
        )
      }
      const { by } = await this.#head(key)
      if (by !== 'first') throw this.#refusal('keeps no metadata of objects')
    } finally {
      await this.#delete(key)
    }
  }

  async classes(): Promise<ReadonlyMap<string, S3Class>> {
    const { classes, log } = this.#options
    const known = new Map<string, S3Class>()
    for (const [tier, storageClass] of Object.entries(classes) as [Tier, S3Class][]) {
      const key = this.#key()
      try {
        const put = await this.#put(key, tier, storageClass)
        const kept = put === 'unsupported' ? 'refused' : (await this.#head(key)).storageClass
        if (kept === storageClass) known.set(tier, storageClass)
        else log.warn('blobs.class_unsupported', { key: `s3.${tier}Class`, storageClass, kept })
      } finally {
        await this.#delete(key)
      }
    }
    return known
  }

  async #put(
    key: string,
    by: string,
    storageClass: S3Class | undefined,
  ): Promise<'done' | 'exists' | 'unsupported'> {
    const { client, sdk } = this.#requests
    const what = storageClass === undefined ? 'creating' : `storing as ${storageClass}`
    const command = new sdk.PutObjectCommand({
      ...this.#at(key),
      Body: new Uint8Array(),
      IfNoneMatch: '*',
      Metadata: { by },
      ...(storageClass !== undefined && { StorageClass: storageClass }),
    })
    const put = await this.#requests.call(
      call('put', `${what} ${key}`),
      ({ signal }) => client.send(command, { abortSignal: signal }),
      ['exists', 'unsupported'],
    )
    return put.kind
  }

  async #head(key: string): Promise<{ by: string | undefined; storageClass: string }> {
    const { client, sdk } = this.#requests
    const command = new sdk.HeadObjectCommand({ ...this.#at(key) })
    const head = await this.#requests.call(call('head', `looking for ${key}`), ({ signal }) =>
      client.send(command, { abortSignal: signal }),
    )
    const { Metadata, StorageClass = 'STANDARD' } = head.value
    return { by: Metadata?.by, storageClass: StorageClass }
  }

  /** A bucket whose own rules are to delete needs nobody else's right to. */
  async #delete(key: string): Promise<void> {
    const { client, sdk } = this.#requests
    const command = new sdk.DeleteObjectCommand({ ...this.#at(key) })
    try {
      await this.#requests.call(call('delete', `deleting ${key}`), ({ signal }) =>
        client.send(command, { abortSignal: signal }),
      )
    } catch (error) {
      this.#options.log.error('blobs.delete_failed', error, { key })
    }
  }

  #key(): string {
    return `probe/${randomUUID()}.probe`
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#bucket, Key: baseOf(this.#options) + key }
  }

  get #bucket(): string {
    return this.#options.bucket
  }

  #refusal(problem: string): PipelineError {
    const { endpoint = 'AWS' } = this.#options
    const text = `blobs ${s3Name(this.#options)}: the server at s3.endpoint ${endpoint} ${problem}; use another one (AWS S3, versitygw, S3Proxy)`
    return new PipelineError('CONFIG_INVALID', text)
  }
}

function call(operation: S3Operation, what: string): S3Call {
  return { operation, tier: 'other', what }
}
