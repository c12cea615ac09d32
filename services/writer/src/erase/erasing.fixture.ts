import type { Bus } from '@winnow/bus'
import {
  controlTopic,
  decisionsTopic,
  evidenceTopic,
  type Fixture,
  spansTopic,
} from '../writer.fixture.ts'
import type { WriterErasure } from '../writer.ts'
import { Eraser, type EraserOptions, newErasure } from './eraser.ts'
import {
  type ErasureAsked,
  ErasureDesk,
  type ErasureDeskOptions,
  type ShownErasure,
} from './erasure-desk.ts'
import { type Erasure, erasureRecord, tracesRecord } from './erasure-record.ts'
import { controlPartition, Erasures } from './erasures.ts'

export const hourMs = 3_600_000
export const never = new AbortController().signal
/** Whose traces are erased. */
export const subject = 'u_4f81a09c'

/** How long the topics keep what they hold; a test moves the clock beyond it. */
const settings = {
  retentionMs: { spans: 24 * hourMs, evidence: 24 * hourMs, decisions: 96 * hourMs },
  bufferLifeMs: 0,
  settleMs: 0,
}

/** What may stand in for the fixture's own. */
export type Instead = Partial<
  Pick<
    EraserOptions,
    'bus' | 'hot' | 'blobs' | 'hashers' | 'erasures' | 'tokenKeyCheck' | 'log' | 'metrics'
  >
>

export function erasuresOf({ bus, clock, log }: Fixture): Erasures {
  return new Erasures({ bus, control: controlTopic, clock, log })
}

/** For a writer of the fixture that carries erasures out by itself. */
export function writerErasure(fixture: Fixture, erasures = erasuresOf(fixture)): WriterErasure {
  return { erasures, topics: { evidence: evidenceTopic, control: controlTopic }, ...settings }
}

export function eraserOf(fixture: Fixture, instead: Instead = {}): Eraser {
  const { bus, hot, blobs, hashers, clock, log } = fixture
  const topics = {
    spans: spansTopic,
    evidence: evidenceTopic,
    decisions: decisionsTopic,
    control: controlTopic,
  }
  const erasures = instead.erasures ?? erasuresOf(fixture)
  const own = { bus, hot, blobs, hashers, clock, log, topics, erasures, ...settings }
  return new Eraser({ ...own, ...instead })
}

export function deskOf(fixture: Fixture, instead: Partial<ErasureDeskOptions> = {}): ErasureDesk {
  const { bus, hashers, clock } = fixture
  const own = { bus, control: controlTopic, hashers, erasures: erasuresOf(fixture), clock }
  return new ErasureDesk({ ...own, ...instead })
}

/** One step of an erasure by an eraser that knows what `control` says, and what became of it. */
export async function advance(
  fixture: Fixture,
  id: string,
  instead: Instead = {},
): Promise<Erasure> {
  const erasures = instead.erasures ?? erasuresOf(fixture)
  await erasures.readToEnd()
  await eraserOf(fixture, { ...instead, erasures }).advance(erasures.get(id) as Erasure, never)
  return erasures.get(id) as Erasure
}

export function accepted(asked: ErasureAsked): ShownErasure {
  if (asked.kind !== 'accepted') throw new Error(asked.remedy)
  return asked.erasure
}

/** Says on `control` that the trace is blocked, as an eraser does that has found it. */
export async function blockTrace({ bus, clock }: Fixture, traceId: string): Promise<void> {
  const asked = newErasure({
    tenant: 'default',
    field: 'trace.id',
    tokens: [traceId],
    by: undefined,
    dryRun: false,
    nowMs: clock.nowMs(),
  })
  await bus.append(controlTopic, controlPartition, [
    tracesRecord(asked.id, [traceId]),
    erasureRecord({ ...asked, state: 'waiting-for-retention', blockedAtMs: clock.nowMs() }),
  ])
}

/** The same bus, for a writer that has positions of its own: another owner of the same partition. */
export function otherGroups(bus: Bus): Bus {
  return new Proxy(bus, {
    get: (own, name) => {
      const value: unknown = Reflect.get(own, name)
      if (name === 'join')
        return (topic: string, group: string, fold: never) =>
          own.join(topic, `${group}-again`, fold)
      return typeof value === 'function' ? value.bind(own) : value
    },
  })
}
