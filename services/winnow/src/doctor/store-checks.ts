import { randomUUID } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Log, silentLog, systemClock } from '@winnow/runtime'
import {
  type BlobStore,
  dateOf,
  parseSegmentKey,
  readSegmentMetadata,
  type SegmentName,
} from '@winnow/storage'
import { lifecycleSurvey, openBlobStore, openHotStore } from '../open-stores.ts'
import type { Config } from '../program-config.ts'
import { clockFinding, type ServerTime } from './clock-check.ts'
import { type Check, type Finding, failed, ok, warning } from './finding.ts'

const dayMs = 86_400_000
/** Objects of one day that are looked through for the newest. */
const listedMax = 5_000

/** What the stores are asked. `busLogId`: of the topic that segments are made from. */
export function storeChecks(config: Config, busLogId: () => Promise<string | undefined>): Check[] {
  return [
    { key: 'hot', look: () => lookAtHot(config) },
    { key: 'blobs', look: () => lookAtBlobs(config, busLogId) },
    { key: 'buffer', look: () => lookAtBuffer(config) },
  ]
}

async function lookAtBuffer(config: Config): Promise<Finding[]> {
  if (config.buffer === 'none') return [ok('buffer', 'none: the bus is read')]
  const { lookAtRedis } = await import('./service-checks.ts')
  return lookAtRedis(config)
}

/** One search of a tenant that is nobody's: it opens what is there, and with it meets its format. */
async function lookAtHot(config: Config): Promise<Finding[]> {
  if (config.hot !== 'sqlite') {
    const { lookAtOpenSearch } = await import('./service-checks.ts')
    return lookAtOpenSearch(config)
  }
  const folder = join(config.data, 'hot')
  if (!isThere(folder)) return [ok('hot', `sqlite: ${folder} will be made`)]
  const unwritable = writeProblem('hot', folder)
  if (unwritable !== undefined) return [unwritable]
  const hot = await openHotStore(config, { mayWrite: false })
  try {
    const askedMs = performance.now()
    await hot.search({ tenant: 'winnow-doctor', limit: 1 })
    const tookMs = performance.now() - askedMs
    const bytes = await hot.bytes()
    const size = `${(bytes / 1024 ** 2).toFixed(1)} MiB`
    return [ok('hot', `sqlite: searched in ${tookMs.toFixed(1)} ms, ${size}`)]
  } finally {
    await hot.close()
  }
}

async function lookAtBlobs(
  config: Config,
  busLogId: () => Promise<string | undefined>,
): Promise<Finding[]> {
  const findings: Finding[] = []
  if (config.blobs === 'folder') {
    const folder = join(config.data, 'blobs')
    if (!isThere(folder)) return [ok('blobs', `folder: ${folder} will be made`)]
    const unwritable = writeProblem('blobs', folder)
    if (unwritable !== undefined) return [unwritable]
    findings.push(ok('blobs', `folder: ${folder} can be read and written`))
  }
  const blobs =
    config.blobs === 'folder'
      ? await openBlobStore(config, { mayWrite: false })
      : await openProbed(config, findings)
  try {
    if (findings.some(({ status }) => status === 'failed')) return findings
    if (config.blobs !== 'folder') findings.push(...(await lookAtLifecycle(config)))
    return [...findings, ...(await newestSegment(blobs, busLogId))]
  } finally {
    await blobs.close()
  }
}

/** The rules of the bucket, read back. Put they are by the stage that writes, as it starts. */
async function lookAtLifecycle(config: Config): Promise<Finding[]> {
  const isWanted = config.s3.lifecycle
  const survey = await lifecycleSurvey(config)
  if (survey.kind === 'unsupported') {
    const found = 'the server has no lifecycle rules'
    const remedy = 'set s3.lifecycle: false; the writer deletes'
    return isWanted ? [warning('s3.lifecycle', found, remedy)] : []
  }
  if (survey.problems.length === 0) {
    return isWanted ? [ok('s3.lifecycle', 'the bucket’s rules are as configured')] : []
  }
  const remedy = isWanted
    ? 'start a writer, which puts its own; take away what deletes too early'
    : 'take it away, or narrow it to what is not Winnow’s'
  return survey.problems.map(({ rule, says }) =>
    warning('s3.lifecycle', `rule ${rule}: ${says}`, remedy),
  )
}

/** A bucket, and what is to be said of it. Its lifecycle rules are left as they are. */
async function openProbed(config: Config, findings: Finding[]): Promise<BlobStore> {
  const warnings: Finding[] = []
  const log: Log = {
    ...silentLog,
    warn: (kind, fields = {}) => {
      const { key = 'blobs', ...rest } = fields
      const words = Object.values(rest).filter(one => one !== undefined)
      const found = `${kind.replace(/^blobs\./, '').replaceAll('_', ' ')}: ${words.join(', ')}`
      warnings.push(warning(`${key}`, found, 'take the key out, or use a server that has it'))
    },
  }
  const quiet = { ...config, s3: { ...config.s3, lifecycle: false } }
  const blobs = await openBlobStore(quiet, { mayWrite: true, log })
  findings.push(...(await probeBlobs(config.blobs, blobs)), ...warnings)
  const time = await serverTime(config.s3.endpoint)
  if (time !== undefined) findings.push(clockFinding('blobs', time))
  return blobs
}

/** By the date of any answer, in whole seconds; undefined where there is none without more ado. */
async function serverTime(endpoint: string | undefined): Promise<ServerTime | undefined> {
  if (endpoint === undefined) return undefined
  const askedMs = systemClock.nowMs()
  const answer = await fetch(endpoint, { method: 'HEAD' }).catch(() => undefined)
  const serverMs = Date.parse(answer?.headers.get('date') ?? '')
  if (Number.isNaN(serverMs)) return undefined
  return { serverMs, askedMs, answeredMs: systemClock.nowMs(), stepMs: 1_000 }
}

/** An object of its own is made, made again in vain, read, found in the listing, and deleted. */
export async function probeBlobs(name: string, blobs: BlobStore): Promise<Finding[]> {
  const key = `doctor/${randomUUID()}.probe`
  const bytes = Buffer.from('winnow doctor')
  const askedMs = performance.now()
  const made = await blobs.create(key, bytes)
  const tookMs = performance.now() - askedMs
  try {
    const again = await blobs.create(key, Buffer.from('another'))
    const read = await blobs.read(key)
    if (!made || again || read === undefined || !bytes.equals(read)) {
      const remedy =
        'use a store that honours If-None-Match: * on PUT; without it two writers overwrite each other'
      return [failed('blobs', `${name} made an object twice`, remedy)]
    }
    let listed = false
    for await (const found of blobs.list(key)) listed ||= found.key === key
    if (!listed) return [failed('blobs', `${name} does not list what it has`)]
  } finally {
    await blobs.delete(key)
  }
  if ((await blobs.head(key)) !== undefined) {
    const remedy = 'allow the delete of objects; without it nothing expires'
    return [failed('blobs', `${name} did not delete ${key}`, remedy)]
  }
  const did = 'conditional put, read, list and delete work'
  return [ok('blobs', `${name}: ${did}, a put takes ${tookMs.toFixed(1)} ms`)]
}

/** The newest segment of today or yesterday: its format, and whether it is of the topic there is now. */
async function newestSegment(
  blobs: BlobStore,
  busLogId: () => Promise<string | undefined>,
): Promise<Finding[]> {
  const nowMs = systemClock.nowMs()
  const newest = (await newestOf(blobs, nowMs)) ?? (await newestOf(blobs, nowMs - dayMs))
  if (newest === undefined) return [ok('blobs', 'no segment of today or yesterday')]
  // Refuses a newer release's by name.
  const metadata = await readSegmentMetadata(blobs, newest.key)
  const logId = await busLogId()
  if (logId !== undefined && newest.name.logId !== logId) {
    return [
      warning(
        'topics',
        `the newest segment is of log ${newest.name.logId}, decisions is log ${logId}: the topic was made anew`,
        'what was written stays readable; what only the old topic held is gone. It is said until a segment of the new one is written',
      ),
    ]
  }
  return [
    ok(
      'blobs',
      `segments of format ${metadata?.v ?? 'unknown'}, the newest of ${newest.name.date}`,
    ),
  ]
}

async function newestOf(
  blobs: BlobStore,
  atMs: number,
): Promise<{ readonly key: string; readonly name: SegmentName } | undefined> {
  let newest: { key: string; name: SegmentName; modifiedAtMs: number } | undefined
  let left = listedMax
  for await (const { key, modifiedAtMs } of blobs.list(`ledger/date=${dateOf(atMs)}/`)) {
    const name = parseSegmentKey(key)
    if (name !== undefined && modifiedAtMs >= (newest?.modifiedAtMs ?? 0)) {
      newest = { key, name, modifiedAtMs }
    }
    if (--left === 0) break
  }
  return newest
}

function isThere(folder: string): boolean {
  return statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true
}

function writeProblem(key: string, folder: string): Finding | undefined {
  try {
    accessSync(folder, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return failed(key, `${folder} cannot be read and written (${code})`, 'give this user the right')
  }
}
