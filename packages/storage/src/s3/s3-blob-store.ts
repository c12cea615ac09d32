import { randomUUID, webcrypto } from 'node:crypto'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { PipelineError } from '@winnow/runtime'
import { blobRange, checkBlobKey, isBlobKey, mayBeginBlobKey } from '../blob-key.ts'
import type { BlobChange, BlobInfo, BlobStore } from '../blob-store.ts'
import { tiers } from '../segments/segment-key.ts'
import { readBody } from './s3-body.ts'
import { checkS3 } from './s3-check.ts'
import { baseOf, type S3Class, type S3Options, s3Name, s3ObjectBytesMax } from './s3-options.ts'
import { BadBody } from './s3-problem.ts'
import { type S3Attempt, type S3Call, type S3Operation, S3Requests } from './s3-requests.ts'

/** How often a call starts again when its object came or went between two of its requests. */
const triesMax = 5

/** User metadata of every object: who made it, and what of. */
const nonceKey = 'winnow-nonce'
const digestKey = 'winnow-sha256'

/**
 * Objects in a bucket of S3, or of a server that speaks its protocol. Each is one PUT with
 * `If-None-Match: *`, which S3 decides atomically.
 *
 * The promise that exactly one creator hears true has one trap: an answer may be lost after the object
 * was written, and whoever sends again then meets their own object as a 412. So each call marks what
 * it puts with a nonce of its own, and a 412 is decided by whose nonce the object has. Equal bytes decide
 * nothing: two writers that fold the same log put the same bytes.
 */
export class S3BlobStore implements BlobStore {
  readonly #options: S3Options
  readonly #requests: S3Requests
  readonly #base: string
  /** By the first folder of a key; what the server does not have has been left out. */
  readonly #classes: ReadonlyMap<string, S3Class>

  private constructor(
    options: S3Options,
    requests: S3Requests,
    classes: ReadonlyMap<string, S3Class>,
  ) {
    this.#options = options
    this.#requests = requests
    this.#base = baseOf(options)
    this.#classes = classes
  }

  /**
   * Loads the SDK and tries what will be needed of the bucket. CONFIG_INVALID, with the key and the
   * remedy, for what somebody has to set right: address, keys, bucket, region, rights, a server that
   * ignores conditions. STORE_UNAVAILABLE where nobody answers.
   */
  static async open(options: S3Options): Promise<S3BlobStore> {
    const requests = await S3Requests.open(options)
    try {
      const classes = await checkS3(requests, options)
      requests.started()
      return new S3BlobStore(options, requests, classes)
    } catch (error) {
      requests.close()
      throw error
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<boolean> {
    checkBlobKey(key)
    checkObjectBytes(key, bytes.length)
    const nonce = randomUUID()
    const digest = await sha256(bytes)
    for (let tries = 1; tries <= triesMax; tries++) {
      if (await this.#put(key, bytes, nonce, digest)) return true
      const there = await this.#headOnce(key)
      // It was deleted since: the key is free again.
      if (there === undefined) continue
      if (there.nonce !== nonce) return false
      if (there.bytes === bytes.length) return true
      const text = `${key} has ${there.bytes} bytes of the ${bytes.length} that were put; move it away`
      throw new PipelineError('DATA_CORRUPT', text)
    }
    throw this.#unsteady(key)
  }

  async read(
    key: string,
    start = 0,
    length = Number.POSITIVE_INFINITY,
  ): Promise<Uint8Array | undefined> {
    checkBlobKey(key)
    // For what it refuses.
    blobRange(0, start, length)
    const isToEnd = length === Number.POSITIVE_INFINITY
    if (!isToEnd && (start < 0 || length === 0)) {
      // S3 has no range that begins so far from the end and ends before it, and none of no bytes.
      const info = await this.head(key)
      if (info === undefined) return undefined
      const range = blobRange(info.bytes, start, length)
      if (range.start === range.end) return new Uint8Array()
      return this.read(key, range.start, range.end - range.start)
    }
    if (isToEnd && start === 0) return this.#get(key, undefined, start, length)
    if (start < 0) return this.#get(key, `bytes=${start}`, start, length)
    const last = start + length - 1
    const end = last > Number.MAX_SAFE_INTEGER ? '' : `${last}`
    return this.#get(key, `bytes=${start}-${end}`, start, length)
  }

  async head(key: string): Promise<BlobInfo | undefined> {
    checkBlobKey(key)
    for (let tries = 1; tries <= triesMax; tries++) {
      const there = await this.#headOnce(key)
      if (there !== undefined) return { key, bytes: there.bytes, modifiedAtMs: there.modifiedAtMs }
      // An answer to HEAD has no body: a 404 may as well mean the bucket, or a user nobody knows.
      if ((await this.#get(key, 'bytes=0-0', 0, 1)) === undefined) return undefined
    }
    throw this.#unsteady(key)
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    if (!mayBeginBlobKey(prefix)) return
    const call = this.#call('list', prefix, `listing ${prefix === '' ? 'everything' : prefix}`)
    let token: string | undefined
    let before = ''
    do {
      const page = await this.#page(call, prefix, token)
      for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
        const key = Key.slice(this.#base.length)
        // What others put there, what a server marks folders with or left half-written when it died.
        if (!Key.startsWith(this.#base) || !isBlobKey(key)) continue
        if (key <= before) throw this.#unordered(before, key)
        before = key
        yield { key, bytes: Size, modifiedAtMs: LastModified?.getTime() ?? 0 }
      }
      const next = page.NextContinuationToken
      if (page.IsTruncated === true && (next === undefined || next === token)) {
        const text = `blobs ${s3Name(this.#options)}: ${call.what} came to no end: the server says that there is more, and not where`
        throw new PipelineError('STORE_UNAVAILABLE', text)
      }
      token = page.IsTruncated === true ? next : undefined
    } while (token !== undefined)
  }

  /**
   * A PUT with `If-Match`, so that of two who rewrite at once the second starts again with the first one's
   * bytes. A lost answer meets its own object as a 412, which the nonce tells from another's.
   */
  async rewrite(key: string, change: BlobChange): Promise<boolean> {
    for (let tries = 1; tries <= triesMax; tries++) {
      const there = await this.#headOnce(key)
      const old = there === undefined ? undefined : await this.read(key)
      const bytes = old && (await change(old))
      if (there === undefined || bytes === undefined) return false
      checkObjectBytes(key, bytes.length)
      const nonce = randomUUID()
      if (await this.#put(key, bytes, nonce, await sha256(bytes), there.etag)) return true
      if ((await this.#headOnce(key))?.nonce === nonce) return true
    }
    throw this.#unsteady(key)
  }

  async delete(key: string): Promise<void> {
    checkBlobKey(key)
    const { client, sdk } = this.#requests
    const command = new sdk.DeleteObjectCommand({ ...this.#at(key) })
    await this.#requests.call(
      this.#call('delete', key, `deleting ${key}`),
      ({ signal }) => client.send(command, { abortSignal: signal }),
      ['missing'],
    )
  }

  /** Aborts what is under way and closes every connection. */
  async close(): Promise<void> {
    this.#requests.close()
  }

  /**
   * False: the key exists, or with `etag` is no longer that object. After a failure that is looked up before the bytes are sent again: they may have
   * arrived, and a server that refuses a large body unread resets the connection before its 412 is read.
   */
  async #put(
    key: string,
    bytes: Uint8Array,
    nonce: string,
    digest: Buffer,
    etag?: string,
  ): Promise<boolean> {
    const { client, sdk } = this.#requests
    const storageClass = this.#classes.get(folderOf(key))
    const isNew = etag === undefined
    const what = `${isNew ? 'creating' : 'rewriting'} ${key}`
    const put = await this.#requests.call(
      { ...this.#call('put', key, what), bytes: bytes.length },
      ({ signal }) => {
        const command = new sdk.PutObjectCommand({
          ...this.#at(key),
          Body: bytes,
          ...(isNew ? { IfNoneMatch: '*' } : { IfMatch: etag }),
          Metadata: { [nonceKey]: nonce, [digestKey]: digest.toString('hex') },
          ChecksumSHA256: digest.toString('base64'),
          ...(storageClass !== undefined && { StorageClass: storageClass }),
        })
        // Else the signer takes the digest once more, on this thread: a tenth of a second for 64 MiB.
        command.middlewareStack.add(
          next => args => {
            const { headers } = args.request as { readonly headers: Record<string, string> }
            headers['x-amz-content-sha256'] = digest.toString('hex')
            return next(args)
          },
          { step: 'build', name: 'winnowPayloadDigest' },
        )
        return client.send(command, { abortSignal: signal })
      },
      isNew ? ['exists'] : ['exists', 'missing'],
      async () => (isNew && (await this.#isThere(key)) ? 'exists' : undefined),
    )
    return put.kind === 'done'
  }

  /** False also where there is no answer. */
  async #isThere(key: string): Promise<boolean> {
    try {
      return (await this.#headOnce(key, 1)) !== undefined
    } catch (error) {
      if (error instanceof PipelineError) return false
      throw error
    }
  }

  async #headOnce(key: string, attempts?: number): Promise<HeadAnswer | undefined> {
    const { client, sdk } = this.#requests
    const head = await this.#requests.call(
      {
        ...this.#call('head', key, `looking for ${key}`),
        ...(attempts !== undefined && { attempts }),
      },
      ({ signal }) =>
        client.send(new sdk.HeadObjectCommand({ ...this.#at(key) }), { abortSignal: signal }),
      ['missing'],
    )
    if (head.kind !== 'done') return undefined
    const { ContentLength = 0, ETag = '', LastModified, Metadata } = head.value
    return {
      bytes: ContentLength,
      modifiedAtMs: LastModified?.getTime() ?? 0,
      nonce: Metadata?.[nonceKey],
      etag: ETag,
    }
  }

  /** What the object has of [start, start + length), or of its last bytes; `range` says the same to S3. */
  async #get(
    key: string,
    range: string | undefined,
    start: number,
    length: number,
  ): Promise<Uint8Array | undefined> {
    const { client, sdk } = this.#requests
    const work = async (attempt: S3Attempt): Promise<Uint8Array> => {
      const command = new sdk.GetObjectCommand({
        ...this.#at(key),
        ...(range !== undefined && { Range: range }),
      })
      const output = await client.send(command, { abortSignal: attempt.signal })
      const bytes = await readBody(output, attempt)
      this.#requests.count('get', folderOf(key), bytes.length)
      return ofRange(output, bytes, start, length)
    }
    const call = this.#call('get', key, `reading ${key}`)
    const got = await this.#requests.call(call, work, ['missing', 'range'])
    if (got.kind === 'done') return got.value
    return got.kind === 'range' ? new Uint8Array() : undefined
  }

  async #page(call: S3Call, prefix: string, token: string | undefined) {
    const { client, sdk } = this.#requests
    const command = new sdk.ListObjectsV2Command({
      Bucket: this.#options.bucket,
      Prefix: this.#base + prefix,
      ...(token !== undefined && { ContinuationToken: token }),
    })
    const page = await this.#requests.call(call, ({ signal }) =>
      client.send(command, { abortSignal: signal }),
    )
    return page.value
  }

  #call(operation: S3Operation, key: string, what: string): S3Call {
    return { operation, tier: folderOf(key), what }
  }

  #at(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#base + key }
  }

  #unsteady(key: string): PipelineError {
    const text = `blobs ${s3Name(this.#options)}: ${key} came and went ${triesMax} times`
    return new PipelineError('STORE_UNAVAILABLE', text)
  }

  #unordered(before: string, key: string): PipelineError {
    const text = `blobs ${s3Name(this.#options)}: the server lists ${key} behind ${before}; use a bucket that lists by name (a directory bucket does not)`
    return new PipelineError('CONFIG_INVALID', text)
  }
}

interface HeadAnswer {
  readonly bytes: number
  readonly modifiedAtMs: number
  readonly nonce: string | undefined
  readonly etag: string
}

/** CONFIG_INVALID for what no single PUT may hold. */
export function checkObjectBytes(key: string, bytes: number): void {
  if (bytes <= s3ObjectBytesMax) return
  const text = `${key} has ${bytes} bytes, at most ${s3ObjectBytesMax} fit one object; write smaller segments (writer.segmentBytes)`
  throw new PipelineError('CONFIG_INVALID', text)
}

const named: ReadonlySet<string> = new Set([...tiers, 'index', 'ids'])

/** The first folder, which is its tier; few enough values for a metric. */
function folderOf(key: string): string {
  const [first = ''] = key.split('/', 1)
  return named.has(first) ? first : 'other'
}

/** What was asked for, of what came: a part, or all where the server takes no notice of ranges. */
function ofRange(
  output: GetObjectCommandOutput,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): Promise<Uint8Array> | Uint8Array {
  const said = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(output.ContentRange ?? '')
  if (said === null) return wholeOf(output, bytes, start, length)
  const [from, last, total] = said.slice(1).map(Number) as [number, number, number]
  const range = blobRange(total, start, length)
  if (from === range.start && last + 1 === range.end && bytes.length === range.end - range.start) {
    return bytes
  }
  throw new BadBody('torn', `${said[0]}, which was not asked for`)
}

/** A whole object is checked against what its creator said it is. */
async function wholeOf(
  output: GetObjectCommandOutput,
  bytes: Uint8Array<ArrayBuffer>,
  start: number,
  length: number,
): Promise<Uint8Array> {
  const digest = output.Metadata?.[digestKey]
  if (digest !== undefined && digest !== (await sha256(bytes)).toString('hex')) {
    throw new BadBody('corrupt', 'a SHA-256 that is not that of what was put; move it away')
  }
  if (start === 0 && length === Number.POSITIVE_INFINITY) return bytes
  const range = blobRange(bytes.length, start, length)
  return bytes.slice(range.start, range.end)
}

/** Off this thread. */
async function sha256(bytes: Uint8Array): Promise<Buffer> {
  const digest = await webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)
  return Buffer.from(digest)
}
