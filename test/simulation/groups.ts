import type { Lease, Position } from '@winnow/bus'
import { PipelineError } from '@winnow/runtime'
import type { Instance, Stage } from './instance.ts'
import { readBatch } from './simulated-read.ts'
import type { World } from './world.ts'

type Fold = (lease: Lease) => Promise<void>

/** The right of one group to one partition: who has it, and where the group stands. */
export interface Slot {
  readonly stage: Stage
  readonly topic: string
  readonly group: string
  readonly partition: number
  generation: number
  owner: Holding | undefined
  position: Position | undefined
}

/** A lease that was given to an instance. A former owner's goes on until it hears of it. */
export interface Holding {
  readonly instance: Instance
  readonly slot: Slot
  readonly generation: number
  readonly lost: AbortController
  isEnded: boolean
}

/**
 * Group membership as the adversary likes it: a partition changes hands at any moment, the former
 * owner hears of it late or never, and its commits are refused.
 */
export class SimulatedGroups {
  readonly slots: Slot[] = []
  readonly holdings = new Set<Holding>()
  readonly #world: World
  readonly #folds = new Map<Instance, Map<string, Fold>>()
  readonly #failed: (instance: Instance, error: unknown) => void

  constructor(world: World, failed: (instance: Instance, error: unknown) => void) {
    this.#world = world
    this.#failed = failed
    const { spans, evidence, decisions } = world.specs
    for (let partition = 0; partition < world.partitions; partition++) {
      this.#slot('assembler', spans.name, 'assembler', partition)
      this.#slot('sampler', evidence.name, 'sampler', partition)
      this.#slot('writer', decisions.name, 'writer-hot', partition)
      this.#slot('writer', decisions.name, 'writer-segments', partition)
    }
  }

  #slot(stage: Stage, topic: string, group: string, partition: number): void {
    const rest = { generation: 0, owner: undefined, position: undefined }
    this.slots.push({ stage, topic, group, partition, ...rest })
  }

  /** A new generation; the instance need not have joined yet. */
  assign(slot: Slot, instance: Instance): void {
    const generation = ++slot.generation
    const lost = new AbortController()
    const holding: Holding = { instance, slot, generation, lost, isEnded: false }
    slot.owner = holding
    this.holdings.add(holding)
    this.#world.say?.(
      () => `${slot.group}/${slot.partition} goes to ${instance.id}, generation ${generation}`,
    )
    this.#start(holding)
  }

  join(instance: Instance, group: string, fold: Fold): void {
    const folds = this.#folds.get(instance) ?? new Map<string, Fold>()
    this.#folds.set(instance, folds.set(group, fold))
    for (const holding of this.holdings) {
      if (holding.instance === instance && holding.slot.group === group) this.#start(holding)
    }
  }

  /** Every lease of the instance in the group is lost; resolves once its folds have returned. */
  async leave(instance: Instance, group: string): Promise<void> {
    const folds = this.#folds.get(instance)
    folds?.delete(group)
    const own = [...this.holdings].filter(
      holding => holding.instance === instance && holding.slot.group === group,
    )
    for (const holding of own) {
      if (holding.slot.owner === holding) holding.slot.owner = undefined
      holding.lost.abort()
    }
    await Promise.all(own.map(holding => this.#done.get(holding)))
  }

  forget(instance: Instance): void {
    this.#folds.delete(instance)
    for (const holding of this.holdings) {
      if (holding.instance !== instance) continue
      if (holding.slot.owner === holding) holding.slot.owner = undefined
      this.holdings.delete(holding)
    }
  }

  isRunning(instance: Instance): boolean {
    return [...this.holdings].some(one => one.instance === instance && this.#done.has(one))
  }

  isStale({ slot, generation }: Holding): boolean {
    return slot.generation !== generation
  }

  readonly #done = new Map<Holding, Promise<void>>()

  #start(holding: Holding): void {
    const fold = this.#folds.get(holding.instance)?.get(holding.slot.group)
    if (fold === undefined || this.#done.has(holding)) return
    const run = async (): Promise<void> => {
      if (holding.lost.signal.aborted) return
      await fold(this.#lease(holding))
    }
    const done = run().then(
      () => this.#ended(holding),
      (error: unknown) => {
        this.#ended(holding)
        const isFarewell = error instanceof PipelineError && error.code === 'STALE_OWNER'
        if (!(isFarewell && this.isStale(holding))) this.#failed(holding.instance, error)
      },
    )
    this.#done.set(holding, done)
  }

  #ended(holding: Holding): void {
    holding.isEnded = true
    this.holdings.delete(holding)
    const { slot, instance } = holding
    if (slot.owner !== holding) return
    slot.owner = undefined
    const isAsked = instance.isStopping || holding.lost.signal.aborted
    if (!isAsked && instance.isAlive) {
      this.#world.violate('live', `${instance.id} gave ${slot.group}/${slot.partition} up`)
    }
  }

  #lease(holding: Holding): Lease {
    const { slot, instance, lost } = holding
    const { topic, partition, group } = slot
    const committed = slot.position
    const world = this.#world
    let next = committed?.offset ?? world.first(topic, partition)
    // A group that has never committed cannot know that there was something before.
    const beginsLate = (to: number): void => {
      const fields = { topic, partition, to }
      world.said.push({ kind: 'group begins late', by: instance.id, fields })
      world.count('group begins behind what retention passed')
    }
    if (committed === undefined && next > 0) beginsLate(next)
    return {
      partition,
      committed,
      lost: lost.signal,
      read: async (_bytesMax, waitMs) => {
        if (lost.signal.aborted) return { records: [] }
        const batch = await readBatch(instance, topic, partition, next, waitMs, lost.signal)
        if (lost.signal.aborted) return { records: [] }
        const last = batch.records.at(-1)
        next = last === undefined ? (batch.gap?.to ?? next) : last.offset + 1
        return batch
      },
      commit: position =>
        instance.hold('commit', `commit ${group}`, async () => {
          if (this.isStale(holding)) {
            world.count(`commit refused: ${group}`)
            world.say?.(() => `${instance.id}: commit of ${group}/${partition} refused`)
            throw new PipelineError('STALE_OWNER', 'another generation')
          }
          // Fenced before it has read anything, an owner commits where it would have begun.
          if (slot.position === undefined && position.offset > next) {
            beginsLate(position.offset)
          }
          slot.position = { ...position }
          world.changes++
          world.say?.(
            () => `${instance.id}: commits ${group}/${partition} ${JSON.stringify(position)}`,
          )
        }),
    }
  }
}
