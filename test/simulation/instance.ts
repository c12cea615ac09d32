import { PipelineError, type PipelineErrorCode, type StageClock } from '@winnow/runtime'
import type { World } from './world.ts'

export type Stage = 'assembler' | 'sampler' | 'writer'

/**
 * What an instance asks of the world, by what may go wrong with it. `cache`: it never rejects, and what
 * goes wrong is a miss. `sure`: nothing but a crash.
 */
export type CallKind = 'append' | 'commit' | 'ask' | 'create' | 'put' | 'look' | 'cache' | 'sure'

/** What becomes of a call. `late`: refused now, and its effect comes later all the same. */
export type Fate = 'done' | 'fails' | 'ack lost' | 'late' | 'crash before' | 'crash after'

interface Call {
  readonly kind: CallKind
  /** For the story and for coverage: `append decisions`, `create warm`. */
  readonly name: string
  readonly isReady: () => boolean
  readonly effect: () => Promise<unknown>
  /** What a cache answers that could not. */
  readonly miss: unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** An effect that comes after its caller was told that it failed. */
export interface Late {
  readonly by: Instance
  readonly name: string
  readonly sinceMs: number
  readonly land: () => Promise<unknown>
}

/**
 * One process: it runs real code, and everything that it asks of bus, stores and clock waits here until
 * the schedule lets it happen. Between two such calls code runs without a macrotask of its own, so one
 * turn of the event loop brings it to its next calls.
 */
export class Instance {
  readonly world: World
  readonly stage: Stage
  readonly id: string
  /** How far its clock is off. */
  skewMs = 0
  isAlive = true
  isStopping = false
  /** It is not scheduled before: a process that swaps, a machine that sleeps. */
  asleepUntilMs = 0
  readonly late: Late[]
  readonly clock: StageClock
  #calls: Call[] = []

  constructor(world: World, stage: Stage, id: string, late: Late[]) {
    this.world = world
    this.stage = stage
    this.id = id
    this.late = late
    this.clock = {
      nowMs: () => this.world.nowMs + this.skewMs,
      sleep: (ms, signal) => this.#sleep(ms, signal),
    }
  }

  /** Calls of an instance that died are answered by nobody. */
  hold<T>(
    kind: CallKind,
    name: string,
    effect: () => Promise<T>,
    isReady: () => boolean = () => true,
    miss?: T,
  ): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    if (this.isAlive) this.#calls.push({ kind, name, effect, isReady, miss, resolve, reject })
    return promise as Promise<T>
  }

  get waitsForNothing(): boolean {
    return this.#calls.length === 0
  }

  get isAwake(): boolean {
    return this.isAlive && this.asleepUntilMs <= this.world.nowMs
  }

  kill(): void {
    this.isAlive = false
    this.#calls = []
  }

  /** Lets one of the calls happen that can. False where none can. */
  async step(fateOf: (kind: CallKind, name: string) => Fate): Promise<boolean> {
    const ready = this.#calls.filter(one => one.isReady())
    if (ready.length === 0) return false
    const call = this.world.random.pick(ready)
    this.#calls.splice(this.#calls.indexOf(call), 1)
    this.world.steps++
    await this.#perform(call, fateOf(call.kind, call.name))
    await turn()
    return true
  }

  async #perform(call: Call, fate: Fate): Promise<void> {
    const { world } = this
    const { kind, name } = call
    if (fate !== 'done') {
      world.count(`${fate}: ${name}`)
      world.say?.(() => `${this.id}: ${fate}: ${name}`)
    }
    const refuse = (): void => {
      if (kind === 'cache') call.resolve(call.miss)
      else call.reject(errorOf(kind))
    }
    switch (fate) {
      case 'done':
        return call.effect().then(call.resolve, call.reject)
      case 'fails':
        return refuse()
      case 'ack lost':
        // What the effect itself refuses, the caller hears: only the answer of a success gets lost.
        return call.effect().then(refuse, call.reject)
      case 'late':
        this.late.push({ by: this, name, sinceMs: world.nowMs, land: call.effect })
        return refuse()
      case 'crash before':
        return this.kill()
      case 'crash after':
        await call.effect().catch(() => {})
        return this.kill()
    }
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const untilMs = this.world.nowMs + ms
    const isOver = (): boolean => signal?.aborted === true || this.world.nowMs >= untilMs
    return this.hold('sure', 'sleep', async () => {}, isOver)
  }
}

/** All microtasks have run, and with them everything that an answered call sets off. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function errorOf(kind: CallKind): PipelineError {
  const isStore = kind === 'create' || kind === 'put' || kind === 'look'
  const code: PipelineErrorCode = isStore ? 'STORE_UNAVAILABLE' : 'BUS_UNAVAILABLE'
  return new PipelineError(code, 'the adversary')
}
