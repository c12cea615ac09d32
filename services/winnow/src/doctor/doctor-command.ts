import process from 'node:process'
import { commandConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import type { Config } from '../program-config.ts'
import { busLook } from './bus-checks.ts'
import { certificateChecks } from './certificate-checks.ts'
import { type Check, examine, type Finding } from './finding.ts'
import { hostChecks } from './host-checks.ts'
import { keysCheck } from './keys-check.ts'
import { namesChecks } from './names-check.ts'
import { privacyCheck } from './privacy-check.ts'
import { sourceChecks } from './source-checks.ts'
import { storeChecks } from './store-checks.ts'

export interface DoctorOptions {
  readonly config?: string
  readonly data?: string
  readonly json?: boolean
}

/** `winnow doctor`: everything the configuration names is reached and looked at, a line each. */
export async function doctorCommand(options: DoctorOptions): Promise<void> {
  const config = commandConfig(options)
  const findings = await examine(checksOf(config))
  const isWell = findings.every(({ status }) => status !== 'failed')
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ v: 1, healthy: isWell, findings })}\n`
      : `${doctorText(findings)}\n`,
  )
  if (!isWell) throw new CommandEnd(exitCode.no, '')
}

function checksOf(config: Config): Check[] {
  const bus = busLook(config)
  return [
    ...hostChecks(config),
    keysCheck(config),
    privacyCheck(config),
    ...namesChecks(config),
    ...certificateChecks(config),
    ...bus.checks,
    ...sourceChecks(config),
    ...storeChecks(config, bus.logId),
  ]
}

const marks = { ok: '✓', warning: '!', failed: '✗' } as const

/** A line each, and how many are not well. */
export function doctorText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ key }) => key.length))
  const lines = findings.map(({ key, status, found, remedy }) => {
    const text = `${marks[status]} ${key.padEnd(width)}  ${found}${remedy === undefined ? '' : `; ${remedy}`}`
    return text.replaceAll(/\s*\n\s*/g, ' ')
  })
  const of = (status: Finding['status']): number =>
    findings.filter(finding => finding.status === status).length
  const failures = of('failed')
  const rest = of('warning') === 0 ? '' : `, ${of('warning')} to look at`
  lines.push(failures === 0 ? `all is well${rest}` : `${failures} wrong${rest}`)
  return lines.join('\n')
}
