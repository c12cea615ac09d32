import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { PipelineError } from '@winnow/runtime'
import { formatVersion } from './file-format.ts'
import { ownerFileName } from './folder-lock.ts'
import { listHeaders } from './log-recovery.ts'
import { segmentPath } from './segment.ts'
import type { TopicSpec } from './topics.ts'

export interface LogSurvey {
  readonly spec: TopicSpec
  readonly logId: string
  readonly format: number
  readonly segments: number
  readonly bytes: number
  /** When the oldest segment was begun, Unix milliseconds. */
  readonly sinceMs: number
}

export interface FolderSurvey {
  /** Of the process that holds the folder; undefined where none runs. */
  readonly heldBy: number | undefined
  /** In the order of the specs; a log that is not there yet is left out. */
  readonly logs: readonly LogSurvey[]
}

/**
 * What the folder of a file bus holds, by the heads of its segments alone: it may be as large as it
 * likes, and a process may hold it. Undefined: no bus has been there. CONFIG_INVALID for other partitions
 * or a newer format, DATA_CORRUPT for what nobody wrote.
 */
export async function surveyFolder(
  folder: string,
  specs: readonly TopicSpec[],
): Promise<FolderSurvey | undefined> {
  const names = await namesIn(folder)
  if (names === undefined) return undefined
  const logs: LogSurvey[] = []
  for (const spec of specs) {
    const log = names.includes(spec.name) ? await surveyLog(folder, spec) : undefined
    if (log !== undefined) logs.push(log)
  }
  return { heldBy: await holderOf(folder), logs }
}

async function surveyLog(parent: string, spec: TopicSpec): Promise<LogSurvey | undefined> {
  const folder = join(parent, spec.name)
  const { live } = await listHeaders(folder, spec)
  const [oldest] = live
  if (oldest === undefined) return undefined
  let bytes = 0
  for (const { sequence } of live) {
    // Expired a moment ago: it takes no room any more.
    bytes += await stat(segmentPath(folder, sequence)).then(
      ({ size }) => size,
      () => 0,
    )
  }
  const { logId, createdAtMs: sinceMs } = oldest
  return { spec, logId, format: formatVersion, segments: live.length, bytes, sinceMs }
}

async function namesIn(folder: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(folder)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new PipelineError('CONFIG_INVALID', `cannot read ${folder}: ${code}`, { cause })
  }
}

/** A process that was killed leaves its number behind, and another may have it by now: this is a hint. */
async function holderOf(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, ownerFileName), 'utf8').catch(() => '')
  const pid = Number(/"pid":(\d+)/.exec(text)?.[1])
  if (!Number.isInteger(pid)) return undefined
  try {
    process.kill(pid, 0)
    return pid
  } catch (error) {
    // It is there, and another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? pid : undefined
  }
}
