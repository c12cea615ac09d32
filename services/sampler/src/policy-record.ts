import type { NewRecord } from '@winnow/bus'
import { acceptsVersion, isNewerVersion, writtenVersion } from '@winnow/model'
import type { Policy } from './policy-file.ts'

/**
 * Most entries of one {@link entryClass} that the history of policies keeps; the next one takes the oldest
 * one's key.
 */
export const policyHistoryMax = 1_000

/** Most texts that a reader keeps of versions that no entry of the history names; the oldest go. */
export const spareTextsMax = 100

/** Bytes of a policy's text, and of who applied it and why: they travel with it and are shown to people. */
export const policyTextBytesMax = 512 * 1024
export const policyAuthorBytesMax = 64
export const policyMessageBytesMax = 512

/** Every key of `control` that is a policy's begins so; others are somebody else's. */
export const policyKeyPrefix = 'policy'

/**
 * Who put a policy in force. `file`: a sampler's configuration, as a seed; it has no effect while one
 * from the `api` is in force. `released`: what is in force stays, and the files have the word again.
 */
export type PolicySource = 'file' | 'api' | 'released'

/** The rules behind a version, written once. */
export interface PolicyTextRecord {
  readonly kind: 'policy'
  readonly version: string
  /** As `policy-file.ts` reads them; the version ends in their hash. */
  readonly rules: readonly unknown[]
  readonly ceilings?: readonly unknown[]
  /** The file as a person wrote it, with its comments; absent where none was. */
  readonly text?: string
}

/** That a version is in force from here on, or runs in the shadow. */
export interface PolicyEntry {
  readonly kind: 'policy-in-force' | 'policy-shadow'
  /** Null: no policy runs in the shadow any more. */
  readonly version: string | null
  /** 1, 2, 3 … in its {@link entryClass}; its key is of it modulo {@link policyHistoryMax}. */
  readonly n: number
  readonly source: PolicySource
  /** When it was said, Unix milliseconds by the clock of who said it. For people. */
  readonly atMs: number
  readonly author?: string
  /** Name of the API key it was said with, where that is not the author. */
  readonly key?: string
  readonly message?: string
  /** `released`: the offset of what put in force what is released, should that have left the history. */
  readonly of?: number
}

export type PolicyRecord = PolicyTextRecord | PolicyEntry

/**
 * The rules behind a `policyVersion`, for the compacted `control` topic: whoever re-derives a decision
 * later finds the rules it was made with.
 */
export function policyTextRecord(policy: Policy, text?: string): NewRecord {
  const { version, rules, ceilings } = policy
  const v = writtenVersion('policyRecord')
  const limits = ceilings === undefined ? {} : { ceilings }
  const own = { v, kind: 'policy', version, rules, ...limits, ...(text !== undefined && { text }) }
  return record(`${policyKeyPrefix}/${version}`, own)
}

/**
 * Entries of one class take each other's keys, and no other's: two who say something at the same moment
 * give it the same number, and the later one of a class has effect after the earlier one anyway.
 */
export function entryClass({ kind, source }: Pick<PolicyEntry, 'kind' | 'source'>): string {
  return `${kind === 'policy-shadow' ? 'shadow' : 'live'}/${source}`
}

export function policyEntryRecord(entry: PolicyEntry): NewRecord {
  const { version, kind, n, atMs, source, author, key, message, of } = entry
  const v = writtenVersion('policyRecord')
  const more = {
    n,
    atMs,
    source,
    ...(author !== undefined && { author }),
    ...(key !== undefined && { key }),
    ...(message !== undefined && { message }),
    ...(of !== undefined && { of }),
  }
  const own =
    kind === 'policy-shadow'
      ? { v, kind: 'policy-shadow', version, ...more }
      : { v, kind: 'policy-in-force', version, ...more }
  return record(`${policyKeyPrefix}-applied/${entryClass(entry)}/${n % policyHistoryMax}`, own)
}

/** The record, or why it is none. Unknown fields are ignored, a newer format is named. */
export function readPolicyRecord(value: Uint8Array): PolicyRecord | string {
  let read: Record<string, unknown> | null
  try {
    read = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString())
  } catch {
    return 'it is not JSON'
  }
  const v = read?.v
  if (isNewerVersion('policyRecord', v)) return `it has format ${v} of a newer release`
  if (read === null || !acceptsVersion('policyRecord', v)) return 'it has no format that ever was'
  const { kind, version } = read
  if (kind === 'policy') {
    if (typeof version !== 'string' || !Array.isArray(read.rules)) return 'it has no rules'
    const text = typeof read.text === 'string' ? { text: read.text } : {}
    const limits = Array.isArray(read.ceilings) ? { ceilings: read.ceilings } : {}
    return { kind, version, rules: read.rules, ...limits, ...text }
  }
  return entryOf(read) ?? 'it names no version'
}

function entryOf(read: Record<string, unknown>): PolicyEntry | undefined {
  const { kind, version, n, atMs, source, author, key, message, of } = read
  if (kind !== 'policy-in-force' && kind !== 'policy-shadow') return undefined
  if (typeof version !== 'string' && !(version === null && kind === 'policy-shadow')) {
    return undefined
  }
  return {
    kind,
    version,
    n: Number.isSafeInteger(n) ? (n as number) : 0,
    source: source === 'api' || source === 'released' ? source : 'file',
    atMs: Number.isFinite(atMs) ? (atMs as number) : 0,
    ...(typeof author === 'string' && { author }),
    ...(typeof key === 'string' && { key }),
    ...(typeof message === 'string' && { message }),
    ...(Number.isSafeInteger(of) && { of: of as number }),
  }
}

function record(key: string, value: object): NewRecord {
  return { key: Buffer.from(key), value: Buffer.from(JSON.stringify(value)) }
}
