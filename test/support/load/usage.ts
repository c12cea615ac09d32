import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** CPU-seconds by the name of what used them. */
export type PartSeconds = ReadonlyMap<string, number>

const ticksPerSecond = 100

/** All that the process has used, threads that ended included. */
export function cpuSeconds(pid: number): number {
  return secondsIn(`/proc/${pid}/stat`)
}

/** By thread. */
export function threadSeconds(pid: number): PartSeconds {
  const seconds = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const folder = `/proc/${pid}/task/${thread}`
      const name = nameOf(readFileSync(`${folder}/comm`, 'utf8').trim())
      seconds.set(name, (seconds.get(name) ?? 0) + secondsIn(`${folder}/stat`))
    } catch {
      // It ended between the listing and the reading.
    }
  }
  return seconds
}

/** Resident memory now and at its highest. */
export function memoryMiB(pid: number): { readonly rss: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const of = (name: string): number =>
    Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024)
  return { rss: of('VmRSS'), peak: of('VmHWM') }
}

function nameOf(comm: string): string {
  if (comm === 'MainThread' || comm === 'node') return 'main'
  if (comm === 'V8Worker') return 'V8 helpers (collector, compiler)'
  if (comm === 'libuv-worker') return 'libuv pool (disk)'
  return comm
}

function secondsIn(path: string): number {
  const fields = readFileSync(path, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** The process that listens on a port of this machine, where /proc tells. */
export function pidOfPort(port: number): number | undefined {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
  const inodes = new Set(
    ['/proc/net/tcp', '/proc/net/tcp6']
      .flatMap(path => readFileSync(path, 'utf8').split('\n'))
      .map(line => line.trim().split(/\s+/))
      .filter(([, local, , state]) => `${local} `.endsWith(wanted) && state === listening)
      .map(fields => `socket:[${fields[9]}]`),
  )
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .find(pid => holdsOne(pid, inodes))
}

/** TCP_LISTEN of the kernel. */
const listening = '0A'

function holdsOne(pid: number, links: ReadonlySet<string>): boolean {
  try {
    const folder = `/proc/${pid}/fd`
    return readdirSync(folder).some(fd => links.has(readlinkSync(`${folder}/${fd}`)))
  } catch {
    // Another user's, or it has ended.
    return false
  }
}
