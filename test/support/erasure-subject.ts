import { createHash } from 'node:crypto'
import { type BlobStore, listSegments, readAllLedger, readAllSpans } from '@winnow/storage'
import { OtlpClient, type Random, trace48f, trace48fTwinChanges } from '@winnow/testing'
import { expect } from 'vitest'
import { type RunningTarget, winnow } from './winnow-process.ts'

/** Whose traces are erased: a structured attribute, and what only the text has. */
export const subject = 'u_c0ffee5d1c77e0aa'
export const said = 'my order never came, says the subject of this test'
export const subjectTraces = 8

export interface Sent {
  readonly traceId: string
  readonly isSubject: boolean
  readonly isKept: boolean
}

/** Traces of the subject, half of them kept, among those of as many others. */
export function subjectAmong(others: number, random: Random): Sent[] {
  const of = (isSubject: boolean, isKept: boolean): Sent => ({
    // Drawn so that the ordinary 10 % do not keep it: its last 14 digits begin with 0.
    traceId: `${random.hex(2)}${random.hex(1).slice(0, 2)}0${random.hex(2).slice(0, 13)}`,
    isSubject,
    isKept,
  })
  const all = Array.from({ length: others }, (_, n) => of(false, n % 2 === 0))
  for (let n = 0; n < subjectTraces; n++)
    all.splice(random.int(0, all.length), 0, of(true, n % 2 === 0))
  return all
}

/** Requests on their way at once: a hundred thousand one after another would be the longest part of a test. */
const sentAtOnce = 16

export async function sendAll(running: RunningTarget, all: readonly Sent[], startMs: number) {
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc ?? '' })
  const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })
  const send = async (n: number, { traceId, isSubject, isKept }: Sent): Promise<void> => {
    const who = isSubject ? subject : `u_${n.toString(16).padStart(16, '0')}`
    const changes = isKept ? {} : trace48fTwinChanges
    const root = changes.attributes?.['01_root'] ?? []
    const data = trace48f(
      { startMs },
      {
        ...changes,
        traceId,
        attributes: {
          ...changes.attributes,
          '01_root': [
            ...root.filter(({ key }) => key !== 'user.id_hash' && key !== 'user.message'),
            text('user.id_hash', who),
            text('user.message', isSubject ? said : `trace ${n} asks`),
          ],
        },
      },
    )
    expect((await client.sendTraces(data)).acknowledged).toBe(true)
  }
  for (let at = 0; at < all.length; at += sentAtOnce) {
    const some = all.slice(at, at + sentAtOnce)
    await Promise.all(some.map((sent, n) => send(at + n, sent)))
  }
  client.close()
}

/** One call of the API. */
export async function api<T>(running: RunningTarget, path: string, body?: unknown) {
  const answer = await fetch(`http://${running.api}/api/v1${path}`, {
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  })
  return { status: answer.status, body: (await answer.json()) as T }
}

/** What a segment has of the subject, and of everybody else. */
export interface Summary {
  /** Digest of the others' rows. */
  readonly others: string
  /** Whether one of the texts is in any row. */
  readonly says: boolean
}

/** Every row of every segment, read. */
export async function summaryOf(
  blobs: BlobStore,
  all: readonly Sent[],
  texts: readonly string[],
): Promise<Map<string, Summary>> {
  const ids = new Set(all.filter(({ isSubject }) => isSubject).map(({ traceId }) => traceId))
  const summaries = new Map<string, Summary>()
  for (const tier of ['ledger', 'warm', 'cold'] as const) {
    for await (const { key } of listSegments(blobs, tier)) {
      const held =
        tier === 'ledger' ? await readAllLedger(blobs, key) : await readAllSpans(blobs, key)
      const others = createHash('sha256')
      let says = false
      for (const row of held) {
        const text = JSON.stringify(row, (_, value) =>
          typeof value === 'bigint' ? `${value}` : value,
        )
        says ||= texts.some(one => text.includes(one))
        if (!ids.has(row.trace_id)) others.update(text)
      }
      summaries.set(key, { others: others.digest('hex'), says })
    }
  }
  return summaries
}

/** Ids of the traces of which warm has rows. */
export async function warmTraces(blobs: BlobStore): Promise<Set<string>> {
  const ids = new Set<string>()
  for await (const { key } of listSegments(blobs, 'warm')) {
    for (const { trace_id } of await readAllSpans(blobs, key)) ids.add(trace_id)
  }
  return ids
}

export function tiersThatSay(summaries: ReadonlyMap<string, Summary>): string[] {
  const tiers = [...summaries]
    .filter(([, { says }]) => says)
    .map(([key]) => key.split('/')[0] ?? '')
  return [...new Set(tiers)].sort()
}

/** What an erasure of the subject would remove. */
export async function erasedDry(running: RunningTarget): Promise<unknown> {
  const { stdout } = await winnow([
    'erase',
    '--url',
    `http://${running.api}`,
    '--where',
    `user.id_hash=${subject}`,
    '--dry-run',
    '--json',
  ])
  return JSON.parse(stdout)
}
