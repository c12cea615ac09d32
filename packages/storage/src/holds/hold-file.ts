import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import {
  acceptsVersion,
  type DecisionHead,
  isNewerVersion,
  readVersions,
  writtenVersion,
} from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { BlobStore } from '../blob-store.ts'
import { factsHead } from '../facts-only.ts'
import type { HotBody } from '../hot-store.ts'
import type { SpanRow } from '../span-row.ts'

/** What is left of a held trace: the lowest of any of its spans. */
export type HeldLevel = 'full' | 'structured' | 'hashed'

/** What a hold says of itself, without what it holds. */
export interface HoldHead {
  readonly v: number
  readonly id: string
  readonly tenant: string
  readonly traceId: string
  readonly level: HeldLevel
  /** Since when the trace had no more than that; null where it is full, or nobody could say. RFC 3339 UTC, as all. */
  readonly since: string | null
  readonly spans: number
  /** False where further spans may have been stored than could be read. */
  readonly complete: boolean
  /** The key of its hashes had been destroyed when it was made. */
  readonly unlinkable?: true
  /** Free text, redacted: for who may see content. */
  readonly reason: string
  /** Who answers for it, as given. */
  readonly by: string
  /** Name of the key that asked. */
  readonly key?: string
  readonly madeAt: string
  readonly until: string
}

/** What it holds. At hashed level rows are as cold has them; text is there at full level, and of single spans at structured. */
export interface HoldContent {
  /** The last one when it was made, without slices and free text. */
  readonly decision: DecisionHead
  /** One a span id, by start time, then by span id. */
  readonly spans: readonly SpanRow[]
  readonly bodies: readonly HotBody[]
}

/** What one hold holds, before it is compressed: whoever reads it has that in memory twice. */
export const holdBytesMax = 64 * 1024 * 1024

/** The first line. Reason, person and names have limits of their own far below. */
export const holdHeadBytesMax = 16 * 1024

const zip = promisify(gzip)
const unzip = promisify(gunzip)

interface StoredHead extends HoldHead {
  /** SHA-256 of all behind the first line. */
  readonly digest: string
}

/**
 * A line of JSON that says what it is, and behind it, as gzip, a line for the decision, one for each span and one
 * for each slice's text: `tail -n +2 FILE | zcat` shows them without Winnow. Throws PAYLOAD_TOO_LARGE.
 */
export async function encodeHold(
  head: Omit<HoldHead, 'v'>,
  { decision, spans, bodies }: HoldContent,
  bytesMax = holdBytesMax,
): Promise<Uint8Array> {
  const lines = [JSON.stringify({ decision: factsHead(decision) })]
  for (const span of spans) lines.push(JSON.stringify({ span }, bigintsAsText))
  for (const { ref, bytes } of bodies) {
    lines.push(JSON.stringify({ ref, text: Buffer.from(bytes).toString('base64') }))
  }
  const bytes = lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0)
  if (bytes > bytesMax) {
    const text = `a hold of ${head.traceId} has ${bytes} bytes, at most ${bytesMax} are allowed`
    throw new PipelineError('PAYLOAD_TOO_LARGE', text)
  }
  const content = await zip(`${lines.join('\n')}\n`)
  const digest = hash('sha256', content, 'hex')
  const first = JSON.stringify({ v: writtenVersion('hold'), ...head, digest })
  if (Buffer.byteLength(first) + 1 > holdHeadBytesMax) {
    const text = `the first line of a hold has at most ${holdHeadBytesMax} bytes`
    throw new PipelineError('PAYLOAD_TOO_LARGE', text)
  }
  return Buffer.concat([Buffer.from(`${first}\n`), content])
}

/** Undefined where there is none. Throws DATA_CORRUPT for what is none, or another tenant's. */
export async function readHoldHead(
  blobs: BlobStore,
  key: string,
  tenant: string,
): Promise<HoldHead | undefined> {
  const bytes = await blobs.read(key, 0, holdHeadBytesMax)
  if (bytes === undefined) return undefined
  const { digest: _digest, ...head } = headOf(key, bytes, tenant).head
  return head
}

/** The same, with all that it holds. */
export async function readHold(
  blobs: BlobStore,
  key: string,
  tenant: string,
): Promise<{ readonly head: HoldHead; readonly held: HoldContent } | undefined> {
  const bytes = await blobs.read(key)
  if (bytes === undefined) return undefined
  const { head: stored, end } = headOf(key, bytes, tenant)
  const { digest, ...head } = stored
  const content = bytes.subarray(end)
  if (hash('sha256', content, 'hex') !== digest) throw damaged(key, 'its digest is another')
  return { head, held: await heldOf(key, content) }
}

async function heldOf(key: string, content: Uint8Array): Promise<HoldContent> {
  let decision: DecisionHead | undefined
  const spans: SpanRow[] = []
  const bodies: HotBody[] = []
  try {
    const text = (await unzip(content, { maxOutputLength: holdBytesMax })).toString()
    for (const line of text.split('\n')) {
      if (line === '') continue
      const one = JSON.parse(line) as HeldLine
      if (one.decision !== undefined) ({ decision } = one)
      if (one.span !== undefined) spans.push(rowOf(one.span))
      if (one.text !== undefined) {
        bodies.push({ ref: one.ref ?? '', bytes: Buffer.from(one.text, 'base64') })
      }
    }
  } catch (error) {
    throw damaged(key, (error as Error).message)
  }
  if (decision === undefined) throw damaged(key, 'it has no decision')
  return { decision, spans, bodies }
}

interface HeldLine {
  readonly decision?: DecisionHead
  readonly span?: SpanRow
  readonly ref?: string
  readonly text?: string
}

function headOf(
  key: string,
  bytes: Uint8Array,
  tenant: string,
): { readonly head: StoredHead; readonly end: number } {
  const end = bytes.indexOf(newline) + 1
  if (end === 0) throw damaged(key, 'it has no first line')
  let head: StoredHead
  try {
    head = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString()) as StoredHead
  } catch (error) {
    throw damaged(key, (error as Error).message)
  }
  if (isNewerVersion('hold', head.v)) {
    const text = `${key} has format v ${head.v}; this release reads ${readVersions('hold')}: upgrade`
    throw new PipelineError('DATA_CORRUPT', text)
  }
  if (!acceptsVersion('hold', head.v)) throw damaged(key, 'it is no hold')
  // Its name is a hash of the tenant's: what lies there by accident is shown to nobody.
  if (head.tenant !== tenant) throw damaged(key, 'it is of another tenant than its name')
  return { head, end }
}

const newline = 0x0a

function damaged(key: string, why: string): PipelineError {
  return new PipelineError('DATA_CORRUPT', `${key} cannot be read: ${why}`)
}

function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}

function rowOf(row: SpanRow): SpanRow {
  return {
    ...row,
    start_time_unix_nano: BigInt(row.start_time_unix_nano),
    end_time_unix_nano: BigInt(row.end_time_unix_nano),
    sampling_offset: BigInt(row.sampling_offset),
  }
}
