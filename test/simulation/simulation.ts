import { partitionOfHex as partitionOf } from '@winnow/bus'
import { checkVerify } from './check-verify.ts'
import { SimulatedGroups, type Slot } from './groups.ts'
import { type CallKind, type Fate, Instance, type Late, type Stage, turn } from './instance.ts'
import { policies } from './policies.ts'
import { type Running, runStage } from './stages.ts'
import { shortId, tellRecord } from './story.ts'
import { type ClientEvent, composeRecords, planWorkload, type SpansEvent } from './workload.ts'
import type { World } from './world.ts'

/** A call that timed out no longer lands after this: a broker's and a store's requests have an end. */
const lateMaxMs = 10 * 60_000

/** Processes of a stage that run beside each other, former owners included. */
const instancesMax = 4

/**
 * One run: clients send, instances of all stages work, and the adversary crashes, stalls and robs
 * them, all in an order that the seed alone decides. It ends at rest, without faults.
 */
export class Simulation {
  readonly world: World
  readonly groups: SimulatedGroups
  readonly #instances: Instance[] = []
  readonly #running = new Map<Instance, Running>()
  readonly #late: Late[] = []
  readonly #events: ClientEvent[]
  readonly #counts = new Map<Stage, number>()

  constructor(world: World) {
    this.world = world
    this.groups = new SimulatedGroups(world, (instance, error) => this.#failed(instance, error))
    const { events, counts } = planWorkload(world.random, world.nowMs, world.isLong)
    this.#events = events
    for (const [what, times] of counts) world.count(what, times)
  }

  async run(): Promise<void> {
    for (const slot of this.groups.slots) await this.#assign(slot)
    await this.#faultyTime()
    await this.#drain()
    await this.#rest()
  }

  async #faultyTime(): Promise<void> {
    const { random } = this.world
    const heat = 0.01 + random.unit() * 0.05
    const isFast = random.chance(0.3)
    for (let k = 0; k < 500 && (this.#events.length > 0 || k < 300); k++) {
      const x = random.unit()
      if (x < heat) await this.#assign(random.pick(this.groups.slots))
      else if (x < heat * 1.6) await this.#crash()
      else if (x < heat * 1.8) this.#stop()
      else if (x < heat * 2.6) this.#disturb()
      else if (x < 0.3) await this.#tick(this.#pauseMs(isFast))
      else if (x < 0.34) await this.#land()
      else await this.#work(random.int(1, 12), this.#fate)
      for (const slot of this.groups.slots) {
        if (slot.owner === undefined && random.chance(0.3)) await this.#assign(slot)
      }
      if (random.chance(0.01)) await checkVerify(this.world, this.groups)
    }
  }

  #pauseMs(isFast: boolean): number {
    const { random, isLong } = this.world
    if (isLong && random.chance(0.04)) return random.pick([30_000, 90_000]) * 1000
    return random.pick([0.5, 3, 3, 8, 20, isFast ? 130 : 65, isFast ? 700 : 40]) * 1000
  }

  /** What is still to come is sent, and former owners act a little longer. */
  async #drain(): Promise<void> {
    const { world } = this
    for (let k = 0; k < 60; k++) {
      const [next] = this.#events
      if (next !== undefined) await this.#tick(Math.max(1, next.atMs - world.nowMs))
      for (let n = 0; n < 8; n++) await this.#work(3, this.#fate)
      for (const slot of this.groups.slots) if (slot.owner === undefined) await this.#assign(slot)
    }
    for (let next = this.#events[0]; next !== undefined; next = this.#events[0]) {
      await this.#tick(Math.max(1, next.atMs - world.nowMs))
      await this.#work(6, this.#fate)
    }
    while (this.#late.length > 3) await this.#land()
  }

  /** Faults end and former owners die; the owners run until nothing changes any more. */
  async #rest(): Promise<void> {
    const { world, groups } = this
    world.isCalm = true
    world.isHotDown = false
    for (const instance of [...this.#instances]) {
      instance.asleepUntilMs = 0
      instance.skewMs = 0
      const owns = groups.slots.some(({ owner }) => owner?.instance === instance)
      if (!owns || instance.isStopping) this.#kill(instance)
    }
    for (const { lost, slot, generation } of groups.holdings) {
      if (slot.generation !== generation) lost.abort()
    }
    world.say?.(() => 'faults end')
    let still = 0
    let before = -1
    for (let round = 0; round < 600 && still < 5; round++) {
      // The last wait is a day: a range of decisions without one that counts is held back so long.
      await this.#tick(still === 3 ? 25 * 3_600_000 : 30_000)
      for (const slot of groups.slots) if (slot.owner === undefined) await this.#assign(slot)
      await this.#settle()
      // What is under way for so long comes when everything else is done.
      if (still === 2) while (this.#late.length > 0) await this.#land()
      still = world.changes === before ? still + 1 : 0
      before = world.changes
    }
    if (still < 5) world.violate('live', 'it never comes to rest')
  }

  /** Everything that can happen at this moment happens. */
  async #settle(): Promise<void> {
    for (let steps = 0; steps < 20_000; steps++) {
      let isDone = true
      for (const instance of [...this.#instances]) {
        if (await instance.step(() => 'done')) isDone = false
      }
      if (isDone) return this.#checkTimers()
    }
    this.world.violate('live', 'instances are busy without end')
  }

  /** Who works and waits for nothing that the schedule knows has a timer or a thread of its own. */
  #checkTimers(): void {
    for (const instance of this.#instances) {
      if (instance.waitsForNothing && this.groups.isRunning(instance)) {
        this.world.violate('live', `${instance.id} waits for something outside of the simulation`)
      }
    }
  }

  async #work(steps: number, fateOf: (kind: CallKind, name: string) => Fate): Promise<void> {
    const awake = this.#instances.filter(one => one.isAwake)
    if (awake.length === 0) return
    const instance = this.world.random.pick(awake)
    for (let n = 0; n < steps && instance.isAlive; n++) {
      if (!(await instance.step(fateOf))) break
      if (!instance.isAlive) this.#kill(instance)
      else if (this.world.random.chance(0.015)) {
        // Between any two calls: what it has just done others see, and go on.
        instance.asleepUntilMs = this.world.nowMs + this.world.random.pick([3, 30, 150]) * 1000
        this.world.count('stalled between two calls')
        return
      }
    }
  }

  readonly #fate = (kind: CallKind): Fate => {
    const x = this.world.random.unit()
    switch (kind) {
      case 'append':
      case 'create':
      case 'put':
      case 'cache':
        if (x < 0.03) return 'fails'
        if (x < 0.06) return 'ack lost'
        if (x < 0.09) return 'late'
        if (x < 0.1) return 'crash before'
        return x < 0.11 ? 'crash after' : 'done'
      case 'commit':
        if (x < 0.03) return 'fails'
        if (x < 0.06) return 'ack lost'
        if (x < 0.07) return 'crash before'
        return x < 0.08 ? 'crash after' : 'done'
      case 'ask':
      case 'look':
        return x < 0.01 ? 'fails' : 'done'
      case 'sure':
        return 'done'
    }
  }

  /** The partition goes to somebody else, who may be new; the former owner is told now, or later. */
  async #assign(slot: Slot): Promise<void> {
    const { random, isCalm } = this.world
    const former = slot.owner
    const others = this.#instances.filter(
      one => one.stage === slot.stage && one.isAlive && !one.isStopping && one !== former?.instance,
    )
    const isNew = others.length === 0 || (others.length < instancesMax && random.chance(0.5))
    const instance = isNew ? await this.#begin(slot.stage) : random.pick(others)
    if (former !== undefined) {
      this.world.count(`former owner: ${slot.group}`)
      if (isCalm || random.chance(0.3)) former.lost.abort()
    }
    this.groups.assign(slot, instance)
    await turn()
  }

  async #begin(stage: Stage): Promise<Instance> {
    const { world } = this
    const number = (this.#counts.get(stage) ?? 0) + 1
    this.#counts.set(stage, number)
    const instance = new Instance(world, stage, `${stage}-${number}`, this.#late)
    this.#instances.push(instance)
    const running = runStage(instance, this.groups)
    this.#running.set(instance, running)
    running.failed.catch((error: unknown) => this.#failed(instance, error))
    running.component.start().catch((error: unknown) => this.#failed(instance, error))
    await turn()
    return instance
  }

  async #crash(): Promise<void> {
    const { random } = this.world
    const awake = this.#instances.filter(one => one.isAlive)
    if (awake.length === 0) return
    const instance = random.pick(awake)
    const fate = random.pick(['crash before', 'crash after'] as const)
    if (!(await instance.step(() => fate))) this.world.count(`crash: ${instance.stage}, idle`)
    this.#kill(instance)
  }

  #kill(instance: Instance): void {
    const at = this.#instances.indexOf(instance)
    if (at < 0) return
    this.world.count(`crash: ${instance.stage}`)
    this.world.say?.(() => `${instance.id} ends`)
    instance.kill()
    this.groups.forget(instance)
    this.#running.delete(instance)
    this.#instances.splice(at, 1)
  }

  /** An instance is asked to end; what it does until then goes on as usual. */
  #stop(): void {
    const candidates = this.#instances.filter(one => one.isAlive && !one.isStopping)
    if (candidates.length === 0) return
    const instance = this.world.random.pick(candidates)
    const running = this.#running.get(instance)
    if (running === undefined) return
    instance.isStopping = true
    this.world.say?.(() => `${instance.id} is asked to stop`)
    running.component.stop().then(
      () => {
        this.world.count(`stopped: ${instance.stage}`)
        if (instance.isAlive) this.#kill(instance)
      },
      (error: unknown) => this.#failed(instance, error),
    )
  }

  #disturb(): void {
    const { world } = this
    const { random } = world
    const instance = this.#instances.length > 0 ? random.pick(this.#instances) : undefined
    switch (random.int(0, 5)) {
      case 0: {
        if (instance === undefined) return
        const seconds = random.pick([10, 60, 900, world.isLong ? 300_000 : 4_000])
        instance.asleepUntilMs = world.nowMs + seconds * 1000
        world.count(`asleep: ${instance.stage}`)
        world.say?.(() => `${instance.id} sleeps for ${seconds} s`)
        return
      }
      case 1: {
        if (instance === undefined) return
        instance.skewMs = random.pick([0, 500, 1_500, -1_500, -60_000, 100_000])
        world.count('clock moved')
        world.say?.(() => `${instance.id}: its clock is ${instance.skewMs} ms off`)
        return
      }
      case 2: {
        world.isHotDown = !world.isHotDown
        world.say?.(() => `the hot store is ${world.isHotDown ? 'down' : 'back'}`)
        return
      }
      case 3: {
        const samplers = this.#instances.filter(({ stage }) => stage === 'sampler')
        if (samplers.length === 0) return
        const sampler = random.pick(samplers)
        const policy = random.int(0, policies.length - 1)
        this.#running.get(sampler)?.reload?.(policy)
        world.count('policy reload')
        world.say?.(() => `${sampler.id} uses policy ${policy}`)
        return
      }
      case 4: {
        world.buffer.flush()
        world.count('trace buffer flushed')
        world.say?.(() => 'the trace buffer is flushed')
        return
      }
      default: {
        const stale = [...this.groups.holdings].filter(one => this.groups.isStale(one))
        if (stale.length === 0) return
        const holding = random.pick(stale)
        holding.lost.abort()
        world.count('former owner is told')
      }
    }
  }

  /** An effect comes, long after its caller gave up on it. */
  async #land(): Promise<void> {
    const { world } = this
    if (this.#late.length === 0) return
    const late = world.random.pick(this.#late)
    this.#late.splice(this.#late.indexOf(late), 1)
    if (world.isLong && world.nowMs - late.sinceMs > lateMaxMs) return
    world.say?.(() => `late, of ${late.by.id}: ${late.name}`)
    world.count(`landed late: ${late.name}`)
    await late.land().catch(() => {})
    await turn()
  }

  /** Time passes, and what clients send meanwhile comes in its moment. */
  async #tick(ms: number): Promise<void> {
    const { world } = this
    const untilMs = world.nowMs + ms
    for (let next = this.#events[0]; next !== undefined && next.atMs <= untilMs; ) {
      world.nowMs = Math.max(world.nowMs, next.atMs)
      if (next.kind === 'spans') await this.#sendSpans(untilMs)
      else {
        this.#events.shift()
        await this.#sendEvidence(next.record)
      }
      next = this.#events[0]
    }
    world.nowMs = untilMs
    if (!world.isLong) return
    world.expire((topic, partition) => {
      const own = this.groups.slots.filter(s => s.topic === topic && s.partition === partition)
      return Math.min(...own.map(({ position }) => position?.offset ?? 0))
    })
  }

  /** The receiver gathers what comes close together; a trace is in a record once. */
  async #sendSpans(untilMs: number): Promise<void> {
    const { world } = this
    const gathered: SpansEvent[] = []
    const lastMs = Math.min(untilMs, world.nowMs + world.random.pick([0, 200, 2_000]))
    for (let next = this.#events[0]; next !== undefined && next.atMs <= lastMs; ) {
      const { kind } = next
      if (kind !== 'spans') break
      const { tenant, traceId } = next
      if (gathered.some(one => one.traceId === traceId && one.tenant === tenant)) break
      gathered.push(next)
      this.#events.shift()
      next = this.#events[0]
    }
    const { name } = world.specs.spans
    for (const record of composeRecords(gathered, world.partitions)) {
      const { partition, value, header, slices } = record
      const offset = await world.append(name, partition, [{ value, header }], 'client', slices)
      world.say?.(() => {
        const told = slices.map(({ tenant, traceId, start, data }) => {
          const count = data.resourceSpans[0]?.scopeSpans[0]?.spans.length
          return `${offset}:${start} ${tenant}/${shortId(traceId)} ×${count}`
        })
        return `client: spans/${partition} ${told.join(', ')}`
      })
    }
  }

  async #sendEvidence(record: {
    readonly traceId: string
    readonly tenant: string
  }): Promise<void> {
    const { world } = this
    const partition = partitionOf(record.traceId, world.partitions)
    const { name } = world.specs.evidence
    const value = Buffer.from(JSON.stringify(record))
    const offset = await world.append(name, partition, [{ value }], 'client')
    world.say?.(() => `client: evidence/${partition} ${tellRecord(offset, value)}`)
  }

  #failed(instance: Instance, error: unknown): void {
    if (!instance.isAlive) return
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.world.violate('failed', `${instance.id} cannot go on: ${text}`)
    this.#kill(instance)
  }
}
