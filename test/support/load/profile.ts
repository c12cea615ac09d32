// What `node --cpu-prof` wrote, as shares by stage, file and function.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export interface ThreadProfile {
  /** File of the profile, for a viewer. */
  readonly path: string
  readonly busySeconds: number
  readonly stages: readonly Share[]
  readonly functions: readonly Share[]
}

export interface Share {
  readonly name: string
  readonly seconds: number
}

/** The threads of one process, the busiest first. */
export function readProfiles(folder: string): ThreadProfile[] {
  return readdirSync(folder)
    .filter(name => name.endsWith('.cpuprofile'))
    .map(name => summary(join(folder, name)))
    .sort((a, b) => b.busySeconds - a.busySeconds)
}

const functionsShown = 40
const stagesShown = 20

/** Shares of the time that the thread was busy, start and warm-up included. */
export function profileText({ path, busySeconds, stages, functions }: ThreadProfile): string {
  const row = ({ name, seconds }: Share): string =>
    `  ${((100 * seconds) / busySeconds).toFixed(1).padStart(5)} %  ${name}`
  return [
    `\n${path}: ${busySeconds.toFixed(1)} s busy, start and warm-up included`,
    ...stages.slice(0, stagesShown).map(row),
    '  by function',
    ...functions.slice(0, functionsShown).map(row),
  ].join('\n')
}

function summary(path: string): ThreadProfile {
  const profile = JSON.parse(readFileSync(path, 'utf8')) as Profile
  const selfUs = new Map<number, number>()
  profile.samples.forEach((id, at) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + (profile.timeDeltas[at] ?? 0))
  })
  const stages = new Map<string, number>()
  const functions = new Map<string, number>()
  let busySeconds = 0
  for (const { id, callFrame } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame
    if (functionName === '(idle)') continue
    const seconds = (selfUs.get(id) ?? 0) / 1e6
    busySeconds += seconds
    const file = fileOf(url)
    add(stages, stageOf(file, functionName), seconds)
    const place = file === '' ? '' : ` ${file}:${lineNumber + 1}`
    add(functions, `${functionName || '(anonymous)'}${place}`, seconds)
  }
  return { path, busySeconds, stages: ranked(stages), functions: ranked(functions) }
}

function add(sums: Map<string, number>, name: string, seconds: number): void {
  sums.set(name, (sums.get(name) ?? 0) + seconds)
}

function ranked(sums: ReadonlyMap<string, number>): Share[] {
  return [...sums]
    .map(([name, seconds]) => ({ name, seconds }))
    .filter(({ seconds }) => seconds > 0)
    .sort((a, b) => b.seconds - a.seconds)
}

function fileOf(url: string): string {
  return url.replace(/^file:\/\/.*?\/(packages|services|node_modules)\//, '$1/')
}

function stageOf(file: string, functionName: string): string {
  const own = /^(packages|services)\/([^/]+)\//.exec(file)
  if (own !== null) return own[2] as string
  const foreign = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)
  if (foreign !== null) return foreign[1] as string
  if (file.startsWith('node:')) return `node: ${file.slice(5).split('/').slice(0, 2).join('/')}`
  return functionName.startsWith('(') ? functionName : 'native'
}
