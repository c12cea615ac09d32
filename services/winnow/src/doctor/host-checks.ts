import { randomUUID } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { rm, statfs, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { checkPolicy } from '@winnow/sampler'
import type { Config } from '../program-config.ts'
import { listenOptions, listenProblem } from '../start-error.ts'
import { type Check, type Finding, failed, ok, warning } from './finding.ts'

const gibibyte = 1024 ** 3

/** What the machine itself has to have: the data folder, the addresses, the policy. */
export function hostChecks(config: Config): Check[] {
  return [
    { key: 'data', look: () => lookAtData(config) },
    { key: 'policy', look: () => lookAtPolicy(config) },
    ...(Object.keys(listenOptions) as (keyof typeof listenOptions)[]).map(key => ({
      key,
      look: async () => [await lookAtAddress(key, config)],
    })),
  ]
}

async function lookAtData({ data, file, bus }: Config): Promise<Finding[]> {
  const folder = resolve(data)
  const existing = nearestThere(folder)
  if (!statSync(existing).isDirectory()) {
    return [failed('data', `${existing} is a file`, 'name a folder with data (--data)')]
  }
  const probe = join(existing, `.winnow-doctor-${randomUUID()}`)
  try {
    await writeFile(probe, '', { flag: 'wx' })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return [failed('data', `cannot write into ${existing} (${code})`, 'name another with --data')]
  } finally {
    await rm(probe, { force: true })
  }
  const { bavail, bsize } = await statfs(existing)
  const free = bavail * bsize
  const found = `${folder} ${existing === folder ? 'can be written' : 'will be made'}, ${(free / gibibyte).toFixed(1)} GiB free`
  const wanted = bus === 'file' ? file.freeMin : gibibyte / 2
  if (free < wanted && bus === 'file') {
    return [failed('file.freeMin', `${found}: below ${wanted} bytes nothing is taken`, 'free some')]
  }
  if (free < 2 * wanted) return [warning('data', found, 'free some, or give it another disk')]
  return [ok('data', found)]
}

/** The folder itself, or the first one above it that is there. */
function nearestThere(folder: string): string {
  const isThere = statSync(folder, { throwIfNoEntry: false }) !== undefined
  return isThere || dirname(folder) === folder ? folder : nearestThere(dirname(folder))
}

async function lookAtPolicy({ policy }: Config): Promise<Finding[]> {
  if (policy === undefined) return [ok('policy', 'the default policy')]
  const result = checkPolicy(readFileSync(policy, 'utf8'))
  if (!result.ok) {
    const [first] = result.mistakes
    const more = result.mistakes.length > 1 ? ` (and ${result.mistakes.length - 1} more)` : ''
    const remedy = `winnow policy check ${policy} says all`
    return [failed('policy', `${policy}: ${first}${more}`, remedy)]
  }
  const { version, rules } = result.policy
  return [ok('policy', `${policy}, version ${version}, ${rules.length} rules`)]
}

async function lookAtAddress(key: keyof typeof listenOptions, config: Config): Promise<Finding> {
  const { host, port } = config[key]
  const shown = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  const error = await listenError(host, port)
  if (error === undefined) return ok(key, `${shown} can be listened on`)
  if (error.code === 'EADDRINUSE') {
    return warning(
      key,
      `${shown} is in use, by a Winnow that runs or by something else`,
      `where it is something else, choose another with ${listenOptions[key]} HOST:PORT`,
    )
  }
  return failed(key, `${shown} ${listenProblem(error.code ?? '')}`)
}

function listenError(host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  const server = createServer()
  return new Promise(done => {
    server.once('error', done)
    server.listen(port, host, () => server.close(() => done(undefined)))
  })
}
