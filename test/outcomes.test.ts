// Every way in which an outcome comes, at every moment at which it can, over real HTTP and gRPC: what
// becomes of the trace. A cell is the state, and what the evaluation did; see docs/outcomes.md.

import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hashOfKey } from '@winnow/runtime'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  type Carrier,
  carriers,
  deleteScore,
  evaluate,
  experiment,
  outcomes,
  type Sender,
  sendScore,
  sendTrace,
} from './support/outcome-carriers.ts'
import { type RunningWinnow, shortWaits, startWinnow } from './support/winnow-process.ts'

/** What must result, by how the outcome comes: as an evaluation beside the spans, or within them. */
const table = {
  //                         beside                      within
  'before the spans': ['kept applied', 'kept'],
  during: ['kept applied', 'kept'],
  'after close': ['kept applied', 'kept'],
  'after the drop': ['kept rescued', 'kept'],
  // What comes late within a span is readable itself, and is kept without what has gone.
  'after expiry': ['expired missed', 'kept'],
  twice: ['kept rescued', 'kept'],
  retracted: ['kept rescued, taken back', 'kept'],
  'wrong tenant': ['dropped (there: awaiting)', 'dropped (there: kept)'],
} as const

type Moment = keyof typeof table

const spansRetentionMs = 10_000

/** What is said during a trace has to come while it is open, on a machine that plays all cells at once. */
const longWaits = {
  WINNOW_ASSEMBLER_QUIET: '4s',
  WINNOW_ASSEMBLER_ROOTLESS: '10s',
  WINNOW_ASSEMBLER_OPEN_MAX: '30s',
}
const timeout = 200_000

let folder: string
let winnow: RunningWinnow
/** In which bytes are readable for {@link spansRetentionMs} alone. */
let hasty: RunningWinnow

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-outcomes-'))
  const policy = join(folder, 'policy.yaml')
  const end = new Date(Date.now() + 86_400_000).toISOString()
  const arm = `{ experiment: ${experiment}, variant: B, until: ${end}, dailyCap: 5000 }`
  const kinds = ['span-error', 'judge-failed', 'citation-failed', 'low-csat', 'outcome-failed']
  writeFileSync(
    policy,
    `version: t\nrules:\n${kinds.map(kind => `  - kind: ${kind}\n`).join('')}` +
      `  - { kind: active-variant, variants: [${arm}] }\n  - { kind: ordinary, probability: 0.1 }\n`,
  )
  const keys = ['acme', 'beta'].map(
    tenant =>
      `  ${hashOfKey(tenant)}: { tenant: ${tenant}, scopes: [ingest, evaluate, read], name: ${tenant}-app }\n`,
  )
  const config = join(folder, 'winnow.yaml')
  writeFileSync(config, `policy: ${policy}\nkeys:\n${keys.join('')}${outcomes}`)
  const args = ['--config', config]
  const env = { ...shortWaits, WINNOW_RETENTION_SPANS: `${spansRetentionMs}ms` }
  ;[winnow, hasty] = await Promise.all([
    startWinnow({ args, env: longWaits }),
    startWinnow({ args, env }),
  ])
  for (const cell of cells) {
    const result = playCell(cell)
    result.catch(() => {})
    played.set(`${cell.moment} ${cell.name}`, result)
  }
}, timeout)

afterAll(async () => {
  for (const running of [winnow, hasty]) {
    await running?.stop()
    running?.clean()
  }
  rmSync(folder, { recursive: true })
})

const cells = (Object.keys(table) as Moment[]).flatMap(moment =>
  Object.entries(carriers).map(([name, carrier]) => ({
    moment,
    name,
    carrier,
    expected: table[moment][carrier.comes === 'beside' ? 0 : 1],
  })),
)

/** All at once: most of their time they wait. */
const played = new Map<string, Promise<string>>()

test.for(cells)('$moment · $name → $expected', { timeout }, async ({ moment, name, expected }) => {
  expect(await played.get(`${moment} ${name}`)).toBe(expected)
})

test('a score that is changed under its id has its effect, and is taken back with it', {
  timeout,
}, async () => {
  const sender = { winnow, key: 'acme', traceId: traceIdOf('changed under its id') }
  await sendDropped(sender)
  await sendScore(sender, 5)
  await until(async () => (await why(sender)).evaluations.length === 1)
  expect((await why(sender)).state).toBe('dropped')
  await sendScore(sender, 1)
  await becomes(sender, 'kept')
  await deleteScore(sender)
  await until(async () => (await why(sender)).evaluations.every(one => one.retracted === true))
  const { state, evaluations } = await why(sender)
  expect([state, evaluations.length]).toEqual(['kept', 2])
})

async function playCell({
  moment,
  name,
  carrier,
  expected,
}: (typeof cells)[number]): Promise<string> {
  const running = moment === 'after expiry' ? hasty : winnow
  const sender = { winnow: running, key: 'acme', traceId: traceIdOf(`${moment} ${name}`) }
  const cell = await play[moment](sender, carrier)
  let last = ''
  await until(async () => {
    last = await cell()
    return last === expected
  }).catch(() => {})
  return last
}

/** Plays a cell up to where its end only has to be waited for; then the cell as it is now. */
const play: Readonly<
  Record<Moment, (sender: Sender, carrier: Carrier) => Promise<() => Promise<string>>>
> = {
  'before the spans': async (sender, { send, comes }) => {
    await send(sender)
    if (comes === 'beside') await becomes(sender, 'awaiting')
    await sendTrace(sender, false)
    // Both spans have come: a late one alone would be kept as well.
    await until(async () => ((await why(sender)).spanCount ?? 0) > 1)
    return () => cellOf(sender)
  },
  during: async (sender, { send }) => {
    await sendTrace(sender, false)
    await send(sender)
    return () => cellOf(sender)
  },
  'after close': async (sender, { send }) => {
    await sendTrace(sender, true)
    await becomes(sender, 'kept')
    await send(sender)
    await isTold(sender)
    return () => cellOf(sender)
  },
  'after the drop': async (sender, { send }) => {
    await sendDropped(sender)
    await send(sender)
    return () => cellOf(sender)
  },
  'after expiry': async (sender, { send }) => {
    await sendDropped(sender)
    await sleep(spansRetentionMs + 2_000)
    await send(sender)
    return () => cellOf(sender)
  },
  twice: async (sender, { send }) => {
    await sendDropped(sender)
    await send(sender)
    await becomes(sender, 'kept')
    const { revision } = await why(sender)
    await send(sender)
    // What comes after it has been folded, so it has been as well.
    await evaluate(sender, { id: 'marker', name: 'seen', score: 1 })
    await until(async () => hasMarker(await why(sender)))
    const { revision: last, evaluations } = await why(sender)
    const outcomesKnown = evaluations.filter(one => !one.id.endsWith('.marker')).length
    expect([outcomesKnown < 2, last - revision <= 2]).toEqual([true, true])
    return () => cellOf(sender)
  },
  retracted: async (sender, { send, retract }) => {
    await sendDropped(sender)
    await send(sender)
    await becomes(sender, 'kept')
    const id = (await why(sender)).evaluations[0]?.id ?? 'nobody-knows-it'
    await (retract?.(sender) ?? evaluate(sender, { id, retracted: true }))
    await until(async () => (await why(sender)).retractions.length === 1)
    return () => cellOf(sender)
  },
  'wrong tenant': async (sender, { send }) => {
    const stranger = { ...sender, key: 'beta' }
    await sendDropped(sender)
    await send(stranger)
    await isTold(stranger)
    return async () => `${await cellOf(sender)} (there: ${(await why(stranger)).state})`
  },
}

/** Rejects after a while that a loaded machine needs not. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  await vi.waitFor(async () => expect(await isSo()).toBe(true), { timeout: 90_000, interval: 500 })
}

interface Why {
  readonly state: string
  readonly revision: number
  readonly spanCount: number | null
  readonly evaluations: readonly {
    readonly id: string
    readonly state: string
    readonly source?: string
    readonly retracted?: true
  }[]
  readonly retractions: readonly unknown[]
}

async function why({ winnow: { api }, key, traceId }: Sender): Promise<Why> {
  const headers = { 'x-api-key': key }
  const response = await fetch(`http://${api}/api/v1/traces/${traceId}/why`, { headers })
  return (await response.json()) as Why
}

async function becomes(sender: Sender, state: string): Promise<void> {
  await until(async () => (await why(sender)).state === state)
}

/** The outcome has arrived, as an evaluation or as a third span. */
async function isTold(sender: Sender): Promise<void> {
  const isThere = ({ evaluations, spanCount, state }: Why): boolean =>
    evaluations.length > 0 || spanCount === 3 || (spanCount === 1 && state === 'kept')
  await until(async () => isThere(await why(sender)))
}

async function sendDropped(sender: Sender): Promise<void> {
  await sendTrace(sender, false)
  await becomes(sender, 'dropped')
}

const hasMarker = ({ evaluations }: Why): boolean =>
  evaluations.some(({ id }) => id.endsWith('.marker'))

async function cellOf(sender: Sender): Promise<string> {
  const { state, evaluations } = await why(sender)
  const [one] = evaluations.filter(({ id }) => !id.endsWith('.marker'))
  if (one === undefined) return state
  return `${state} ${one.state}${one.retracted === true ? ', taken back' : ''}`
}

/** Its randomness is the least there is, so that only a rule can keep it. */
function traceIdOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 18) + '0'.repeat(14)
}
