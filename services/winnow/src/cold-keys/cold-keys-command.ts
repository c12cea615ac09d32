import { randomBytes } from 'node:crypto'
import process from 'node:process'
import { ColdKeyChanges, coldKeysMax, type NamedColdKeys } from '@winnow/privacy'
import { systemClock } from '@winnow/runtime'
import { storedConfig } from '../command-config.ts'
import { coldKeysFolder } from '../config/privacy-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'

export interface ColdKeysOptions {
  readonly tenant: string
  readonly data?: string
  readonly config?: string
  readonly json?: boolean
  /** Of `destroy`. */
  readonly confirm?: string
  readonly key?: string
}

/** What `winnow cold-keys` prints as JSON; of `destroy` it is the receipt. Times are RFC 3339 UTC. */
export interface ColdKeysReport {
  readonly tenant: string
  readonly file: string
  /** The key that hashes from now on. */
  readonly current: string
  /** Kept for look-up, the oldest first. */
  readonly older: readonly string[]
  readonly changedAt: string
  readonly destroyed?: readonly string[]
  readonly destroyedAt?: string
  /** What nobody but the operator can see to. */
  readonly notReached?: readonly string[]
}

export async function listColdKeys(options: ColdKeysOptions): Promise<void> {
  const { changes, folder } = changesOf(options)
  const found = await changes.list(options.tenant)
  if (found === undefined) {
    const text = `tenant ${options.tenant} has no cold key in ${folder}: nothing of it has been put into cold with keys of this folder`
    throw new CommandEnd(exitCode.no, text)
  }
  print(options, reportOf(options.tenant, found))
}

export async function rotateColdKey(options: ColdKeysOptions): Promise<void> {
  const { changes } = changesOf(options)
  print(options, reportOf(options.tenant, await changes.rotate(options.tenant)))
}

export async function destroyColdKeys(options: ColdKeysOptions): Promise<void> {
  const { tenant, confirm, key } = options
  const { changes } = changesOf(options)
  if (confirm !== tenant) {
    const given =
      confirm === undefined ? '--confirm is missing' : `--confirm "${confirm}" is not it`
    throw new CommandEnd(
      exitCode.usage,
      `nothing was destroyed: nobody can bring a key back, so repeat the tenant's name, --confirm ${tenant}; ${given}`,
    )
  }
  const ids = key?.split(',').map(id => id.trim())
  const done = await changes.destroy(tenant, ids)
  print(options, {
    ...reportOf(tenant, done),
    destroyed: done.destroyed,
    destroyedAt: new Date(systemClock.nowMs()).toISOString(),
    notReached,
  })
}

const notReached = [
  'copies of the key file: backups, snapshots of the volume, a keys/cold folder that another writer or query has of its own; destroy them too',
  'the memory of processes that run: each forgets the keys before its next segment with, or look-up of, this tenant; a restart does so at once',
  'blocks that a disk or a file system keeps after they were overwritten',
  'the same strings in the clear in hot and warm, and on the bus, until their lives end; erase a subject with winnow erase',
]

function changesOf(options: ColdKeysOptions) {
  const config = storedConfig(options)
  const folder = coldKeysFolder(config.data)
  return { folder, changes: new ColdKeyChanges(folder, randomBytes) }
}

function reportOf(tenant: string, { file, keys, changedAtMs }: NamedColdKeys): ColdKeysReport {
  return {
    tenant,
    file,
    current: keys.at(-1) ?? '',
    older: keys.slice(0, -1),
    changedAt: new Date(changedAtMs).toISOString(),
  }
}

function print({ json }: ColdKeysOptions, report: ColdKeysReport): void {
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : textOf(report))
}

function textOf({ tenant, file, current, older, changedAt, ...end }: ColdKeysReport): string {
  const lines = [
    `cold keys of ${tenant}  ${file}, changed at ${changedAt}`,
    `  current   ${current}`,
    ...older.map(key => `  older     ${key}  for look-up`),
  ]
  if (older.length + 1 === coldKeysMax) lines.push(`  ${coldKeysMax} keys are the most`)
  for (const key of end.destroyed ?? []) lines.push(`  destroyed ${key}  at ${end.destroyedAt}`)
  for (const what of end.notReached ?? []) lines.push(`  not reached: ${what}`)
  return `${lines.join('\n')}\n`
}
