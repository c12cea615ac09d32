// `winnow up` with the limits of a small machine and a key for each tenant.
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LedgerReport } from '@winnow/query'
import { memoryMiB } from '../support/load/usage.ts'
import { settled } from '../support/settled.ts'
import { TenantApi } from '../support/tenant-api.ts'
import { type RunningWinnow, startWinnow } from '../support/winnow-process.ts'
import { limitCpu } from './cpu-quota.ts'

const settleMs = 240_000

/** With those of a large machine a few hundred clients would only wait. */
const settings = {
  WINNOW_RECEIVER_REQUEST_BYTES_MAX: '1MiB',
  WINNOW_RECEIVER_INFLIGHT_BYTES_MAX: '8MiB',
  WINNOW_RECEIVER_INFLIGHT_BYTES_PER_TENANT_MAX: '5MiB',
  WINNOW_ASSEMBLER_QUIET: '500ms',
  WINNOW_ASSEMBLER_ROOTLESS: '2s',
  WINNOW_WRITER_SEGMENT_AGE: '2s',
}

/** Of each thread's heap. On a large machine V8 lets garbage lie for gigabytes, and nothing is flat. */
const nodeArgs = ['--max-old-space-size=384']

export class SmallSystem {
  readonly winnow: RunningWinnow
  readonly #folder: string
  readonly #rssMiB: number[] = []
  #watch: NodeJS.Timeout | undefined
  #unlimit: (() => void) | undefined

  private constructor(winnow: RunningWinnow, folder: string) {
    this.winnow = winnow
    this.#folder = folder
  }

  static async start(tenants: readonly string[]): Promise<SmallSystem> {
    const folder = mkdtempSync(join(tmpdir(), 'winnow-overload-'))
    // Keys have no variable: they are secrets' digests, one a tenant.
    const path = join(folder, 'winnow.yaml')
    const keys = tenants.map(tenant => `  ${sha256(keyOf(tenant))}: ${tenant}\n`)
    writeFileSync(path, `keys:\n${keys.join('')}`)
    try {
      const winnow = await startWinnow({ env: settings, args: ['--config', path], nodeArgs })
      return new SmallSystem(winnow, folder)
    } catch (error) {
      rmSync(folder, { recursive: true })
      throw error
    }
  }

  /** Whether the machine allows it. */
  limit(cpuShare: number): boolean {
    this.#unlimit = limitCpu(this.winnow.pid, cpuShare)
    return this.#unlimit !== undefined
  }

  unlimit(): void {
    this.#unlimit?.()
    this.#unlimit = undefined
  }

  watchMemory(): void {
    this.#watch = setInterval(() => this.#rssMiB.push(memoryMiB(this.winnow.pid).rss), 500)
  }

  /** What was resident since the watch began. */
  watchedMiB(): readonly number[] {
    clearInterval(this.#watch)
    return this.#rssMiB
  }

  /** Resolves once everything is decided and written. */
  settled(): Promise<void> {
    return settled([this.winnow.metrics], settleMs)
  }

  async ask<T>(tenant: string, use: (api: TenantApi) => Promise<T>): Promise<T> {
    const api = new TenantApi(this.winnow.api, keyOf(tenant))
    try {
      return await use(api)
    } finally {
      api.close()
    }
  }

  /** The ledger's answer for one tenant, once it has read as far as the log goes. */
  verify(tenant: string): Promise<LedgerReport> {
    return this.ask(tenant, async api => {
      for (const untilMs = Date.now() + settleMs; Date.now() < untilMs; await sleep(500)) {
        const { status, text } = await api.get('/api/v1/verify')
        if (status === 200) return JSON.parse(text) as LedgerReport
      }
      throw new Error(`verify had no answer within ${settleMs} ms`)
    })
  }

  async end(): Promise<void> {
    clearInterval(this.#watch)
    this.unlimit()
    await this.winnow.kill9()
    this.winnow.clean()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The secret of a tenant. */
export function keyOf(tenant: string): string {
  return `key-of-${tenant}`
}

/** What contradicts that every span of a tenant is accounted for. */
export function imbalance(tenant: string, report: LedgerReport): string[] {
  const { pending, missing, doubled, balanced } = report
  if (balanced && pending + missing + doubled === 0) return []
  return [`verify of ${tenant}: ${JSON.stringify(report)}`]
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
