import { durationKey } from '@winnow/runtime'
import { type S3Options, s3Classes, s3PrefixBytesMax } from '@winnow/storage'
import { z } from 'zod'
import type { Config } from '../program-config.ts'
import { readTlsFiles } from '../read-key-file.ts'

const bucket = '[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]'
/** Folders without a suffix such as .parquet would be, as all of ours are. */
const folder = "[A-Za-z0-9_!'()*=-]{1,200}"
const address = new RegExp(`^s3://(?<bucket>${bucket})(?:/(?<prefix>${folder}(?:/${folder})*))?$`)

/** `blobs`: where segments and snapshots lie. */
export const blobsKey = z
  .string()
  .refine(
    text => text === 'folder' || (s3Place(text)?.prefix.length ?? Infinity) <= s3PrefixBytesMax,
    {
      error: 'use folder, or s3://BUCKET[/PREFIX]; the server goes into s3.endpoint',
    },
  )
  .default('folder')

/** Bucket and prefix of an `s3://…`; undefined: it is none. */
export function s3Place(
  blobs: string,
): { readonly bucket: string; readonly prefix: string } | undefined {
  const groups = address.exec(blobs)?.groups
  return groups && { bucket: groups.bucket ?? '', prefix: groups.prefix ?? '' }
}

const classKey = z.enum(s3Classes, {
  error: `use one that is read at once: ${s3Classes.join(', ')}`,
})

/** How the bucket that `blobs` names is used. */
export const s3ConfigSchema = z
  .strictObject({
    /** Absent: AWS itself. */
    endpoint: z
      .string()
      .regex(/^https?:\/\/[^/@?#\s]+$/, { error: 'use http://HOST:PORT or https://HOST[:PORT]' })
      .optional(),
    /** Absent: us-east-1 at an endpoint, else what AWS's own variables and files say. */
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,40}$/, { error: 'use a name such as eu-central-1' })
      .optional(),
    /** The bucket in the path, not in the host's name. Absent: where there is an endpoint. */
    forcePathStyle: z.boolean().optional(),
    /** Absent: what AWS's own variables, files and services give this process. */
    accessKeyId: z.string().min(1).optional(),
    secretAccessKey: z.string().min(1).optional(),
    sessionToken: z.string().min(1).optional(),
    caFile: z.string().optional(),
    /** Without the time that large objects take; then the request is sent again. */
    requestTimeout: durationKey('10s').refine(ms => ms >= 100 && ms <= 600_000, {
      error: 'give 100ms to 10min',
    }),
    /** How often a request is sent, before what asked for it is told that the store is away. */
    attempts: z.int().min(1).max(20).default(5),
    /** Sockets of one stage. */
    connections: z.int().min(1).max(1_000).default(32),
    /** Absent: the bucket's own. */
    warmClass: classKey.optional(),
    coldClass: classKey.optional(),
    ledgerClass: classKey.optional(),
    /** Rules in the bucket itself that delete what `writer.warmLife` and the others say. */
    lifecycle: z.boolean().default(false),
  })
  .refine(({ accessKeyId, secretAccessKey }) => !accessKeyId === !secretAccessKey, {
    path: ['secretAccessKey'],
    error: 'give s3.accessKeyId and s3.secretAccessKey, or neither',
  })
  .prefault({})

/** What the adapter is opened with, its credentials and files included. `blobs` names a bucket. */
export function s3Options({
  blobs,
  s3,
  writer,
}: Pick<Config, 'blobs' | 's3' | 'writer'>): Omit<S3Options, 'mayWrite' | 'log' | 'metrics'> {
  const { endpoint, region, forcePathStyle, caFile, warmClass, coldClass, ledgerClass } = s3
  const { warmLife: warm, coldLife: cold, ledgerLife: ledger } = writer
  const credentials = credentialsOf(s3)
  return {
    ...(s3Place(blobs) ?? { bucket: '', prefix: '' }),
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(forcePathStyle !== undefined && { forcePathStyle }),
    ...(credentials !== undefined && { credentials }),
    ...readTlsFiles('s3', { caFile }),
    requestTimeoutMs: s3.requestTimeout,
    attempts: s3.attempts,
    connections: s3.connections,
    classes: {
      ...(warmClass !== undefined && { warm: warmClass }),
      ...(coldClass !== undefined && { cold: coldClass }),
      ...(ledgerClass !== undefined && { ledger: ledgerClass }),
    },
    ...(s3.lifecycle && { lifecycleMs: { warm, cold, ledger } }),
  }
}

function credentialsOf(s3: Config['s3']): S3Options['credentials'] {
  const { accessKeyId, secretAccessKey, sessionToken } = s3
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  return { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
}
