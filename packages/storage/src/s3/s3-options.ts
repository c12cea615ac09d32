import type { Log, Metrics } from '@winnow/runtime'
import type { Tier } from '../segments/segment-key.ts'

/**
 * Classes whose objects can be read at once. GLACIER and DEEP_ARCHIVE are none: an object there has to be
 * asked for hours before it is read.
 */
export const s3Classes = [
  'STANDARD',
  'STANDARD_IA',
  'ONEZONE_IA',
  'INTELLIGENT_TIERING',
  'GLACIER_IR',
] as const

export type S3Class = (typeof s3Classes)[number]

/** What one PUT may hold. A segment has 64 MiB, so nothing here is sent in parts. */
export const s3ObjectBytesMax = 5 * 1024 ** 3

/** What stands before a key has to leave it room: 1,024 bytes for both and the slash between. */
export const s3PrefixBytesMax = 255

/** A request may take its time limit, and beyond it as long as its bytes do at this rate. */
export const s3BytesPerMsMin = 1024 ** 2 / 1000

export interface S3Options {
  readonly bucket: string
  /** Of everything in the bucket, without slashes at its ends; empty: none. */
  readonly prefix: string
  /** `http://host:port`; absent: AWS itself, by the region. */
  readonly endpoint?: string
  /** Absent: `us-east-1` at an endpoint, else what the SDK finds. */
  readonly region?: string
  /** The bucket in the path instead of the host's name. Absent: where there is an endpoint. */
  readonly forcePathStyle?: boolean
  /** Absent: what the SDK finds, in AWS's own variables, files and services. */
  readonly credentials?: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  /** PEM; absent: the usual roots. */
  readonly ca?: string
  readonly requestTimeoutMs: number
  /** How often one request is sent at most. */
  readonly attempts: number
  /** Sockets at most. */
  readonly connections: number
  /** Absent: the bucket's own. */
  readonly classes: Readonly<Partial<Record<Tier, S3Class>>>
  /** Life of what each tier holds, for rules in the bucket itself; absent: no rules are touched. */
  readonly lifecycleMs?: Readonly<Record<Tier, number>>
  /** Who only reads checks no more than that it can. */
  readonly mayWrite: boolean
  readonly log: Log
  readonly metrics: Metrics
}

/** As `winnow.yaml` names it. */
export function s3Name({ bucket, prefix }: Pick<S3Options, 'bucket' | 'prefix'>): string {
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}`
}

/** Before every key of ours in the bucket: the prefix and its slash. */
export function baseOf({ prefix }: Pick<S3Options, 'prefix'>): string {
  return prefix === '' ? '' : `${prefix}/`
}
