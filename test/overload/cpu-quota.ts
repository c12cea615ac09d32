import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'

const periodUs = 10_000

/**
 * Gives a process a share of one core, so that one machine can offer it ten times what it can take.
 * Undefined where this kernel, or this user, may not: then the whole machine is what there is.
 */
export function limitCpu(pid: number, share: number): (() => void) | undefined {
  const group = `/sys/fs/cgroup/cpu/winnow-overload-${pid}`
  try {
    mkdirSync(group)
    writeFileSync(`${group}/cpu.cfs_period_us`, String(periodUs))
    writeFileSync(`${group}/cpu.cfs_quota_us`, String(Math.round(periodUs * share)))
    writeFileSync(`${group}/cgroup.procs`, String(pid))
    return () => {
      // A group with a process in it cannot go: the process returns to the whole machine first.
      if (existsSync(`/proc/${pid}`)) writeFileSync('/sys/fs/cgroup/cpu/cgroup.procs', String(pid))
      rmdirSync(group)
    }
  } catch {
    return undefined
  }
}
