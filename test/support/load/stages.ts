// What each stage before the writer costs: the same load against one stage more each time.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGenerator } from './generator-process.ts'
import type { LoadOptions } from './options.ts'
import { profileText, readProfiles } from './profile.ts'
import { environment, ownGround } from './run.ts'
import { type StageRow, stageRows } from './stage-rows.ts'
import { cpuSeconds, threadSeconds } from './usage.ts'

/** Until what was taken has been closed and decided: the longest quiet, and some more. */
const restMs = 3_000

export interface StageCost {
  readonly row: StageRow
  readonly spansPerSecond: number
  readonly cpuPerMillion: number
  readonly mainPerMillion: number
  readonly helpersPerMillion: number
  readonly diskPerMillion: number
}

export async function measureStages(
  options: LoadOptions,
  say: (text: string) => void,
): Promise<StageCost[]> {
  const costs: StageCost[] = []
  say('up to         spans/s    CPU-s/M   on main   collector, compiler   disk pool')
  for (const row of stageRows) {
    if (options.stage !== undefined && options.stage !== row) continue
    const folder = mkdtempSync(join(tmpdir(), 'winnow-load-'))
    const cost = await measureRow(options, row, folder)
    costs.push(cost)
    const { spansPerSecond, cpuPerMillion, mainPerMillion, helpersPerMillion, diskPerMillion } =
      cost
    const cells = [cpuPerMillion, mainPerMillion, helpersPerMillion, diskPerMillion]
    say(
      `${row.padEnd(12)} ${String(Math.round(spansPerSecond)).padStart(8)} ${cells.map(cell => cell.toFixed(2).padStart(10)).join(' ')}`,
    )
    if (options.profile) for (const one of readProfiles(folder)) say(profileText(one))
    else rmSync(folder, { recursive: true, force: true })
  }
  return costs
}

async function measureRow(options: LoadOptions, row: StageRow, folder: string): Promise<StageCost> {
  const host = fork(join(import.meta.dirname, 'stage-host.ts'), [row], {
    env: { ...process.env, ...environment(options, folder, ownGround) },
    stdio: 'inherit',
  })
  const pid = host.pid ?? 0
  const generator = startGenerator()
  try {
    const [address] = (await once(host, 'message')) as [string]
    const { connections, warmUpSpans, spans } = options
    await generator.drive({ address, connections, spans: warmUpSpans })
    await sleep(restMs)
    const cpuBefore = cpuSeconds(pid)
    const before = threadSeconds(pid)
    const driven = await generator.drive({ address, connections, spans })
    await sleep(restMs)
    const perMillion = (seconds: number): number => (seconds / driven.spans) * 1e6
    const after = threadSeconds(pid)
    const of = (start: string): number => {
      const name = [...after.keys()].find(key => key.startsWith(start)) ?? ''
      return perMillion((after.get(name) ?? 0) - (before.get(name) ?? 0))
    }
    return {
      row,
      spansPerSecond: driven.spans / driven.seconds,
      cpuPerMillion: perMillion(cpuSeconds(pid) - cpuBefore),
      mainPerMillion: of('main'),
      helpersPerMillion: of('V8'),
      diskPerMillion: of('libuv'),
    }
  } finally {
    generator.stop()
    const ended = once(host, 'exit')
    host.kill('SIGTERM')
    await ended
  }
}
