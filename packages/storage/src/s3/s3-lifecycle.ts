import { createHash } from 'node:crypto'
import type { LifecycleRule } from '@aws-sdk/client-s3'
import type { Tier } from '../segments/segment-key.ts'
import { baseOf, type S3Options } from './s3-options.ts'
import { type S3Call, S3Requests } from './s3-requests.ts'

const dayMs = 86_400_000

/**
 * Rules of the bucket that delete what has outlived its tier: a net below the writer's sweeper, which goes by
 * the date in a segment's name. They go by the day of writing and one day more, so that it is always
 * the sweeper that deletes where it runs: it alone deletes a day's id indexes before what they point to.
 */
export function lifecycleRules(
  base: string,
  lifecycleMs: Readonly<Record<Tier, number>>,
): readonly LifecycleRule[] {
  const { warm, cold, ledger } = lifecycleMs
  // Several pipelines may share a bucket, each with a prefix; an id has at most 255 bytes.
  const mark = base === '' ? '' : `-${createHash('sha256').update(base).digest('hex').slice(0, 12)}`
  return Object.entries({ warm, cold, ledger, ids: ledger }).map(([folder, lifeMs]) => ({
    ID: `winnow${mark}-${folder}`,
    Status: 'Enabled',
    Filter: { Prefix: `${base}${folder}/` },
    Expiration: { Days: Math.ceil(lifeMs / dayMs) + 1 },
  }))
}

/** The bucket's rules with ours in place of those of the same ids; undefined: they are so already. */
export function withRules(
  there: readonly LifecycleRule[],
  ours: readonly LifecycleRule[],
): LifecycleRule[] | undefined {
  if (ours.every(rule => there.some(other => isSame(rule, other)))) return undefined
  const ids = new Set(ours.map(({ ID }) => ID))
  return [...there.filter(({ ID }) => !ids.has(ID)), ...ours]
}

/**
 * Puts the rules and reads them back. The rules of a bucket are one document: others' are put again as
 * they were read. A bucket that has no rules, or does not take ours, is a warning: the sweeper does it.
 */
export async function putLifecycle(
  requests: S3Requests,
  options: S3Options,
  lifecycleMs: Readonly<Record<Tier, number>>,
): Promise<void> {
  const { bucket: Bucket, log } = options
  const { client, sdk } = requests
  const ours = lifecycleRules(baseOf(options), lifecycleMs)
  const there = await read(requests, Bucket)
  const wanted = there && withRules(there, ours)
  if (there !== undefined && wanted === undefined) return
  if (wanted !== undefined) {
    const command = new sdk.PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: { Rules: wanted },
    })
    const put = await requests.call(
      call('putting the bucket’s lifecycle rules (s3.lifecycle)'),
      ({ signal }) => client.send(command, { abortSignal: signal }),
      ['unsupported', 'refused'],
    )
    const kept = put.kind === 'done' ? await read(requests, Bucket) : undefined
    if (kept !== undefined && withRules(kept, ours) === undefined) {
      log.info('blobs.lifecycle_put', { rules: ours.length })
      return
    }
  }
  log.warn('blobs.lifecycle_unsupported', { remedy: 's3.lifecycle: false; the writer deletes' })
}

/** A rule that is not as it is configured, or another's that deletes before its time. */
export interface LifecycleProblem {
  readonly rule: string
  readonly says: string
}

export type LifecycleSurvey =
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'read'; readonly problems: readonly LifecycleProblem[] }

/**
 * Reads the bucket's rules back and puts them beside what is configured. `wanted`: whether ours are to be
 * there; another's that deletes what a tier has to hold yet is a problem in any case. It changes nothing.
 */
export async function surveyLifecycle(
  options: S3Options,
  lifecycleMs: Readonly<Record<Tier, number>>,
  wanted: boolean,
): Promise<LifecycleSurvey> {
  const requests = await S3Requests.open(options)
  try {
    requests.started()
    const there = await read(requests, options.bucket)
    if (there === undefined) return { kind: 'unsupported' }
    const ours = lifecycleRules(baseOf(options), lifecycleMs)
    return { kind: 'read', problems: lifecycleProblems(there, ours, wanted) }
  } finally {
    requests.close()
  }
}

/** Pure. */
export function lifecycleProblems(
  there: readonly LifecycleRule[],
  ours: readonly LifecycleRule[],
  wanted: boolean,
): LifecycleProblem[] {
  const problems: LifecycleProblem[] = []
  for (const rule of ours) {
    const found = there.find(({ ID }) => ID === rule.ID)
    const prefix = rule.Filter?.Prefix ?? ''
    const days = rule.Expiration?.Days ?? 0
    const name = rule.ID ?? ''
    if (wanted && found === undefined) {
      problems.push({ rule: name, says: `absent: nothing in the bucket deletes ${prefix}` })
    } else if (wanted && found !== undefined && !isSame(rule, found)) {
      problems.push({ rule: name, says: `${said(found)}, not ${said(rule)} as configured` })
    }
    for (const other of there) {
      if (other.ID === rule.ID || !deletesBefore(other, prefix, days)) continue
      const says = `deletes ${prefix} after ${other.Expiration?.Days} days, before its time is over`
      problems.push({ rule: other.ID ?? '(without an id)', says })
    }
  }
  return problems
}

/** Whether a rule reaches all that begins with `prefix`, tags and sizes apart, before `days`. */
function deletesBefore(rule: LifecycleRule, prefix: string, days: number): boolean {
  const own = rule.Filter?.Prefix ?? rule.Prefix ?? ''
  const after = rule.Expiration?.Days
  const isOfAll = rule.Filter?.And === undefined && rule.Filter?.Tag === undefined
  // Ours give a day more than the tier has.
  return (
    rule.Status === 'Enabled' &&
    isOfAll &&
    prefix.startsWith(own) &&
    after !== undefined &&
    after < days - 1
  )
}

function said({ Status, Filter, Prefix, Expiration }: LifecycleRule): string {
  const prefix = Filter?.Prefix ?? Prefix ?? ''
  const when = Expiration?.Days === undefined ? 'never' : `after ${Expiration.Days} days`
  return `${Status === 'Enabled' ? '' : 'disabled: '}${prefix} ${when}`
}

/** Undefined: the server has no such thing. */
async function read(
  requests: S3Requests,
  Bucket: string,
): Promise<readonly LifecycleRule[] | undefined> {
  const { client, sdk } = requests
  const command = new sdk.GetBucketLifecycleConfigurationCommand({ Bucket })
  const got = await requests.call(
    call('reading the bucket’s lifecycle rules (s3.lifecycle)'),
    ({ signal }) => client.send(command, { abortSignal: signal }),
    ['missing', 'unsupported', 'refused'],
  )
  if (got.kind === 'done') return got.value.Rules ?? []
  return got.kind === 'missing' ? [] : undefined
}

function call(what: string): S3Call {
  return { operation: 'bucket', tier: 'other', what }
}

function isSame(ours: LifecycleRule, other: LifecycleRule): boolean {
  return (
    other.ID === ours.ID &&
    other.Status === ours.Status &&
    (other.Filter?.Prefix ?? other.Prefix) === ours.Filter?.Prefix &&
    other.Expiration?.Days === ours.Expiration?.Days
  )
}
