import { Metrics, silentLog } from '@winnow/runtime'
import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import type { CeilingSpec } from './ceiling-spec.ts'
import { Ceilings, ceilingTenantsMax } from './ceilings.ts'
import { slice, summary, traceIdOf } from './fixtures.ts'
import { checkPolicy, parsePolicy, policyOfRecord } from './policy-file.ts'
import { policyTextRecord, readPolicyRecord } from './policy-record.ts'
import { rederive } from './rederive.ts'
import { type RevisionContext, revise } from './revise.ts'
import { revisionContext } from './revision.fixture.ts'
import { kindsMax, RuleCeiling } from './rule-ceiling.ts'
import { compilePolicy } from './rules.ts'

const minute = 60_000
const seed = 20261122
const specs: CeilingSpec[] = [{ rule: 'span-error', perMinute: 600 }]

/** Samplers of 12 partitions, and who holds which. */
function fleet(members: number): Ceilings[] {
  return Array.from({ length: members }, () => {
    const ceilings = new Ceilings(silentLog, new Metrics())
    ceilings.share(12)
    return ceilings
  })
}

interface Kept {
  readonly minute: number
  readonly kind: string
  readonly weight: number
}

/** `rates`: matches of each kind in each minute. What is kept of them, with what it stands for. */
function play(
  members: readonly Ceilings[],
  minutes: number,
  rates: Record<string, number>,
): Kept[] {
  const random = new Random(seed)
  const all: { readonly kind: string; readonly atMs: number }[] = []
  for (const [kind, rate] of Object.entries(rates)) {
    for (let i = 0; i < rate * minutes; i++)
      all.push({ kind, atMs: random.unit() * minutes * minute })
  }
  const kept: Kept[] = []
  for (const { kind, atMs } of all.sort((a, b) => a.atMs - b.atMs)) {
    const partition = random.int(0, 11)
    const ceilings = members[partition % members.length] as Ceilings
    const match = { tenant: 't', rule: 'span-error', kind, asked: 1, partition }
    const { probability = 1 } = ceilings.part(specs, match, atMs) ?? {}
    const isKept = random.unit() < probability
    ceilings.note({ ...match, isKept }, 'minute', atMs)
    if (isKept) kept.push({ minute: Math.floor(atMs / minute), kind, weight: 1 / probability })
  }
  return kept
}

test(`a flood is kept up to its ceiling in every minute, by one sampler or four (seed ${seed})`, () => {
  for (const members of [1, 4]) {
    const kept = play(fleet(members), 6, { flood: 9_000, other: 900 })
    for (let at = 0; at < 6; at++) {
      const count = kept.filter(one => one.minute === at).length
      expect(count, `minute ${at} of ${members}`).toBeGreaterThan(600 * 0.97)
      expect(count, `minute ${at} of ${members}`).toBeLessThan(600 * 1.03)
    }
  }
})

test(`what is kept stands for all, and a rare kind is kept whole beside a flood (seed ${seed})`, () => {
  const kept = play(fleet(1), 10, { flood: 12_000, rare: 20 })
  const rare = kept.filter(({ kind }) => kind === 'rare')
  expect(rare.length).toBeGreaterThan(190)
  const weight = (kind: string) =>
    kept.reduce((sum, one) => (one.kind === kind ? sum + one.weight : sum), 0)
  expect(weight('flood') / 120_000).toBeCloseTo(1, 1)
  expect(Math.abs(weight('rare') / 200 - 1)).toBeLessThan(0.1)
})

test(`well below its ceiling a rule keeps all, but for what chance brings too fast (seed ${seed})`, () => {
  const kept = play(fleet(1), 4, { some: 360 })
  expect(kept.length).toBeGreaterThan(0.995 * 1_440)
  expect(kept.filter(({ weight }) => weight > 1).length).toBeLessThan(30)
})

test(`one partition that is a minute behind changes nothing for the others (seed ${seed})`, () => {
  const [ceilings] = fleet(1) as [Ceilings]
  const random = new Random(seed)
  const kept = [0, 0, 0]
  // The first partition is read to its end before the others are begun.
  for (let partition = 0; partition < 12; partition++) {
    for (let atMs = 0; atMs < 3 * minute; atMs += 50) {
      const match = { tenant: 't', rule: 'span-error', kind: 'flood', asked: 1, partition }
      const isKept = random.unit() < (ceilings.part(specs, match, atMs)?.probability ?? 1)
      ceilings.note({ ...match, isKept }, 'minute', atMs)
      if (isKept) kept[Math.floor(atMs / minute)] = (kept[Math.floor(atMs / minute)] ?? 0) + 1
    }
  }
  for (const count of kept) expect(Math.abs(count / 600 - 1), `${kept}`).toBeLessThan(0.03)
})

test('a ceiling that is less than a trace a partition is one on average', () => {
  const few: CeilingSpec[] = [{ rule: 'span-error', perMinute: 3 }]
  const [ceilings] = fleet(1) as [Ceilings]
  const random = new Random(seed)
  let kept = 0
  for (let atMs = 0; atMs < 100 * minute; atMs += 30) {
    const match = {
      tenant: 't',
      rule: 'span-error',
      kind: 'k',
      asked: 1,
      partition: random.int(0, 11),
    }
    const isKept = random.unit() < (ceilings.part(few, match, atMs)?.probability ?? 1)
    ceilings.note({ ...match, isKept }, 'minute', atMs)
    if (isKept) kept++
  }
  expect(kept / 100).toBeGreaterThan(2)
  expect(kept / 100).toBeLessThan(4.5)
})

test(`more kinds than are told apart do not go round the ceiling (seed ${seed})`, () => {
  for (const count of [kindsMax, kindsMax + 1, 1_000]) {
    const rates = Object.fromEntries(Array.from({ length: count }, (_, at) => [`kind ${at}`, 4]))
    const first = play(fleet(1), 2, rates).filter(one => one.minute === 1)
    expect(first.length, `${count} kinds`).toBeLessThan(600 * 1.03)
  }
})

test(`kinds that come again in every window are no more than are told apart (seed ${seed})`, () => {
  const ceiling = new RuleCeiling(minute)
  const told = new Set<number>()
  const random = new Random(seed)
  for (let atMs = 0; atMs < 20 * minute; atMs += 20) {
    const kind = `kind ${random.int(0, 2_999)}`
    ceiling.share(kind, 50, atMs)
    ceiling.note(kind, 1, false, atMs)
    told.add(ceiling.kinds)
  }
  // As many and the one of all others.
  expect(Math.max(...told)).toBe(kindsMax + 1)
})

test('the figures say how near a ceiling is before it is reached, and what was thinned', async () => {
  const metrics = new Metrics()
  const warned: string[] = []
  const log = { ...silentLog, warn: (kind: string) => void warned.push(kind) }
  const ceilings = new Ceilings(log, metrics)
  const use = async () =>
    (await metrics.text()).split('\n').find(line => line.startsWith('winnow_ceiling_use_ratio{'))
  const match = { tenant: 't', rule: 'span-error', kind: 'k', asked: 1, partition: 0 }
  const spread = (from: number, count: number) => {
    for (let i = 0; i < count; i++) {
      const atMs = from + (i * minute) / count
      ceilings.part(specs, match, atMs)
      ceilings.note({ ...match, isKept: true }, 'minute', atMs)
    }
    ceilings.say(0, from + minute - 1, 0)
  }
  spread(0, 300)
  expect(warned).toEqual([])
  spread(minute, 500)
  expect(warned).toEqual(['sampler.ceiling_near'])
  expect(Number((await use())?.split(' ').at(-1))).toBeCloseTo(500 / 600, 1)
  spread(2 * minute, 900)
  expect(warned.at(-1)).toBe('sampler.ceiling_reached')
  ceilings.say(0, 5 * minute, 0)
  expect(await use(), 'nothing for two windows').toBeUndefined()
})

test('the figure of a ceiling goes when nothing comes any more, although log time stands', async () => {
  const metrics = new Metrics()
  const ceilings = new Ceilings(silentLog, metrics)
  const match = { tenant: 't', rule: 'span-error', kind: 'k', asked: 1, partition: 0 }
  const use = async () => (await metrics.text()).includes('winnow_ceiling_use_ratio{')
  for (let i = 0; i < 60; i++) {
    ceilings.part(specs, match, i * 1_000)
    ceilings.note({ ...match, isKept: true }, 'minute', i * 1_000)
  }
  const startedMs = 7_000_000
  for (const afterMs of [0, 1_000, minute, 2 * minute + 1_000]) {
    expect(await use(), `${afterMs}`).toBe(afterMs > 0)
    ceilings.say(0, 59_000, startedMs + afterMs)
  }
  expect(await use(), 'two windows later').toBe(false)
})

test('that a ceiling is reached is said once, however often it is asked for', () => {
  const warned: string[] = []
  const log = { ...silentLog, warn: (kind: string) => void warned.push(kind) }
  const ceilings = new Ceilings(log, new Metrics())
  const match = { tenant: 't', rule: 'span-error', kind: 'k', asked: 1, partition: 0 }
  for (let i = 0; i < 900; i++) {
    ceilings.part(specs, match, i * 60)
    ceilings.note({ ...match, isKept: true }, 'minute', i * 60)
  }
  for (let i = 0; i < 5; i++) ceilings.say(0, 54_000 + i, 0)
  expect(warned).toEqual(['sampler.ceiling_reached'])
})

test('tenants have figures of their own up to the limit for each rule, whatever other rules have', () => {
  const rules = ['a', 'b'].map(rule => ({ rule, perMinute: 100 }))
  const ceilings = new Ceilings(silentLog, new Metrics())
  const floodOf = (tenant: string, rule: string) => {
    const match = { tenant, rule, kind: 'k', asked: 1, partition: 0 }
    for (let i = 0; i < 200; i++) {
      ceilings.part(rules, match, 30_000)
      ceilings.note({ ...match, isKept: true }, 'minute', 30_000)
    }
  }
  const shareOf = (tenant: string, rule: string) =>
    ceilings.part(rules, { tenant, rule, kind: 'k', asked: 1, partition: 0 }, 30_000)?.probability
  for (let at = 0; at < ceilingTenantsMax - 1; at++) shareOf(`tenant ${at}`, 'a')
  for (const rule of ['a', 'b']) floodOf('the last', rule)
  // One past it: those beyond share one figure.
  expect(shareOf('beyond', 'a')).toBe(1)
  floodOf('beyond', 'a')
  expect(shareOf('another', 'a')).toBeLessThan(0.1)
  expect(shareOf('another', 'b'), 'a rule with one tenant').toBe(1)
})

const limited = parsePolicy(`
version: x
rules:
  - kind: span-error
  - { kind: ordinary, probability: 0.01 }
ceilings:
  - { rule: span-error, perMinute: 600 }
`)

const context = revisionContext(compilePolicy(limited), {
  ceiling: () => ({ probability: 0.25, ceiling: 600, per: 'minute' }),
})

test('a thinned match is kept by its draw, weighs what it stands for, and stays what it was', () => {
  const policy = compilePolicy(limited)
  for (const [randomness, verdict, weight] of [
    ['c0000000000000', 'keep', 4],
    ['bfffffffffffff', 'drop', 0],
  ] as const) {
    const id = traceIdOf(1, randomness)
    const inputs = (at: number) => [
      { evidence: summary(id, [slice(at, [{ id: at, error: true }])]), appendedAtMs: 4_000 },
    ]
    const first = revise(undefined, inputs(1), context)?.decision
    expect(first).toMatchObject({ verdict, adjustedCount: weight, probability: 0.25, th: 'c' })
    expect(first?.rules[0]).toMatchObject({
      matched: true,
      probability: 0.25,
      detail: { ceiling: 600, per: 'minute' },
    })
    if (first === undefined) throw new Error('nothing decided')
    const series = { offset: 0, last: first, earlier: { slices: [], bytes: 0 }, isCut: false }
    const later: RevisionContext['ceiling'] = () => ({
      probability: 0.001,
      ceiling: 600,
      per: 'minute',
    })
    const second = revise(series, inputs(2), { ...context, ceiling: later })?.decision
    expect(second).toMatchObject({ verdict, adjustedCount: weight, probability: 0.25 })
    for (const one of [first, second]) {
      expect(one && rederive(one, policy).differences).toEqual([])
    }
  }
})

test('a ceiling names a rule of the policy, once for a tenant, and one figure', () => {
  const mistakes = (ceilings: string) =>
    checkPolicy(`version: x\nrules:\n  - kind: slow\n  - kind: ordinary\nceilings:\n${ceilings}`)
      .mistakes
  expect(
    mistakes('  - { rule: slow, perMinute: 10 }\n  - { rule: slow, tenant: a, perHour: 1 }'),
  ).toEqual([])
  expect(mistakes('  - { rule: slwo, perMinute: 10 }')[0]).toMatch(
    /^ceilings\[0\]: no rule is called "slwo"; there are slow, ordinary$/,
  )
  expect(mistakes('  - { rule: slow, perMinute: 10 }\n  - { rule: slow, perHour: 1 }')[0]).toMatch(
    /^ceilings\[1\]: is listed before/,
  )
  expect(mistakes('  - { rule: slow }')[0]).toMatch(/wants perMinute or perHour/)
  expect(mistakes('  - { rule: slow, perMinute: 1, perHour: 1 }')[0]).toMatch(/not both/)
  expect(mistakes('  - { rule: slow, perMinute: 0 }')[0]).toMatch(/^ceilings\[0\].perMinute/)
})

test('ceilings are a part of what a version stands for, and travel with its rules', () => {
  const { ceilings: _, ...without } = limited
  expect(limited.version).not.toBe(
    parsePolicy(
      'version: x\nrules:\n  - kind: span-error\n  - { kind: ordinary, probability: 0.01 }',
    ).version,
  )
  const record = readPolicyRecord(policyTextRecord(limited).value)
  if (typeof record === 'string' || record.kind !== 'policy') throw new Error('no text')
  expect(policyOfRecord(record)).toEqual(limited)
  expect(policyOfRecord(without)).toMatch(/not those of its version/)
})
