import process from 'node:process'
import v8 from 'node:v8'
import vm from 'node:vm'
import { PipelineError } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { mutated } from './mutate.ts'

/** One parser, or one boundary of the program, with valid inputs to start from. */
export interface FuzzTarget {
  readonly name: string
  /** Share of all inputs, relative to the other targets'. */
  readonly weight: number
  readonly seeds: readonly Uint8Array[]
  /**
   * Takes one input and, where it is refused, returns `refused` or throws a PipelineError. Whatever else
   * it throws is a finding.
   */
  run(input: Buffer): Outcome | Promise<Outcome>
}

export type Outcome = 'taken' | 'refused'

export interface FuzzReport {
  readonly name: string
  readonly inputs: number
  readonly taken: number
  readonly refused: number
  /** The worst CPU time of one input that a repetition bore out, milliseconds. */
  readonly worstMs: number
  /** Growth of the heap from the first fifth of the inputs to the end, after collection. */
  readonly grownBytes: number
}

/** CPU time that one input may take. */
export const hangMs = 100

/** Growth of the heap that is noise: caches that fill, code that is compiled. */
export const grownBytesMax = 24 * 1024 * 1024

/**
 * Feeds `inputs` mutated inputs to a target, `begins` hearing of each. Throws on the first finding with the seed, the number and the input in
 * base64, so that it can be repeated alone.
 */
export async function fuzz(
  target: FuzzTarget,
  inputs: number,
  seed: number,
  begins: (at: number) => void,
): Promise<FuzzReport> {
  let taken = 0
  let worstMs = 0
  let worstInput = ''
  let heapBytes = 0
  for (const bytes of target.seeds) {
    const outcome = await attempt(target, Buffer.from(bytes), `${target.name}: a valid input`)
    if (outcome !== 'taken') throw new Error(`${target.name}: refuses a valid input`)
  }
  for (let at = 0; at < inputs; at++) {
    const input = mutated(target.seeds, Random.of(seed, at))
    const where = `${target.name}: seed ${seed}, input ${at}: ${input.toString('base64').slice(0, 4096)}`
    begins(at)
    const startMs = cpuMs()
    if ((await attempt(target, input, where)) === 'taken') taken++
    if (cpuMs() - startMs > hangMs) {
      const againMs = await again(target, input, where)
      if (againMs > worstMs) [worstMs, worstInput] = [againMs, where]
    }
    if (at === Math.floor(inputs / 5)) heapBytes = heapAfterCollection()
  }
  const grownBytes = inputs < 5 ? 0 : heapAfterCollection() - heapBytes
  if (worstMs > hangMs) throw new Error(`${worstMs} ms of CPU for ${worstInput}`)
  if (grownBytes > grownBytesMax) {
    throw new Error(`${target.name}: seed ${seed}: the heap grew by ${grownBytes} bytes`)
  }
  return { name: target.name, inputs, taken, refused: inputs - taken, worstMs, grownBytes }
}

async function attempt(target: FuzzTarget, input: Buffer, where: string): Promise<Outcome> {
  try {
    return await target.run(Buffer.from(input))
  } catch (error) {
    if (error instanceof PipelineError) return 'refused'
    throw new Error(where, { cause: error })
  }
}

/** The least of three repetitions: a pause of the collector, or of the machine, is no hang. */
async function again(target: FuzzTarget, input: Buffer, where: string): Promise<number> {
  let leastMs = Number.POSITIVE_INFINITY
  for (let times = 0; times < 3; times++) {
    const startMs = cpuMs()
    await attempt(target, input, where)
    leastMs = Math.min(leastMs, cpuMs() - startMs)
  }
  return leastMs
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc') as () => void

function heapAfterCollection(): number {
  collect()
  return process.memoryUsage().heapUsed
}
