import { randomInt } from 'node:crypto'
import type { Claim } from '@winnow/model'
import { Health } from '@winnow/runtime'
import { afterEach, expect, test } from 'vitest'
import { readDecision } from './decision-record.ts'
import { root, summary, traceIdOf } from './fixtures.ts'
import { PolicyDesk } from './policy-desk.ts'
import { defaultPolicy, type Policy, parsePolicy } from './policy-file.ts'
import { policyEntryRecord } from './policy-record.ts'
import { rederive } from './rederive.ts'
import { compilePolicy } from './rules.ts'
import { topics, until, World } from './world.fixture.ts'

let world: World
afterEach(async () => {
  await Promise.all(world.samplers.map(sampler => sampler.stop()))
  expect(world.failures).toEqual([])
})

const deskOf = (): PolicyDesk =>
  new PolicyDesk({ bus: world.bus, control: topics.control, clock: world.clock })

const policyText = (name: string, probability: number): string =>
  `version: ${name}\nrules:\n  - { kind: low-csat, atMost: 2 }\n  - { kind: ordinary, probability: ${probability} }\n`

let written = 0
const send = (count: number) =>
  world.write(
    ...Array.from({ length: count }, () => {
      const randomness = randomInt(2 ** 47)
        .toString(16)
        .padStart(14, '0')
      const slice = world.slice(++written, [1], root(9))
      return summary(traceIdOf(written, randomness), [slice])
    }),
  )

/**
 * The counting decisions. Fails where one names another version than its claim or is not derived again
 * with its rules, and where a claim goes back behind the one before.
 */
async function checkPositions(policies: ReadonlyMap<string, Policy>): Promise<number> {
  const { records } = await world.bus.read(topics.decisions, 0, 0, 1e9, 0)
  let claim: (Claim & { readonly offset: number }) | undefined
  let decided = 0
  for (const { offset, value } of records) {
    const record = readDecision(value, `${offset}`)
    if (record?.kind === 'claim') {
      expect(record.policyAt).toBeGreaterThanOrEqual(claim?.policyAt ?? 0)
      claim = { ...record, offset }
    }
    if (record?.kind !== 'decision' || record.claim !== claim?.offset) continue
    decided++
    expect(record.policyVersion).toBe(claim.policy)
    const policy = policies.get(record.policyVersion)
    if (policy === undefined) throw new Error(`${record.policyVersion} was never applied`)
    const again = rederive(record, compilePolicy(policy))
    expect(again).toEqual({ agrees: true, differences: [] })
  }
  return decided
}

test('policies change under load, one in five broken: each decision names the version of its claim', async () => {
  world = new World()
  const first = await world.start()
  const second = await world.start({ group: 'sampler' })
  const desk = deskOf()
  const policies = new Map<string, Policy>([[defaultPolicy.version, defaultPolicy]])
  for (let n = 0; n < 100; n++) {
    if (n % 5 === 4) {
      const broken = await desk.apply({ text: `version: p${n}\nrules: [{ kind: nothing }]` })
      expect(broken).toMatchObject({ kind: 'mistakes' })
      const entry = { kind: 'policy-in-force', version: `p${n}-00000000`, source: 'api' } as const
      const record = policyEntryRecord({ ...entry, n: -1 - n, atMs: 1 })
      await world.bus.append(topics.control, 0, [record])
    } else {
      const text = policyText(`p${n}`, (n % 9) / 10)
      const policy = parsePolicy(text)
      policies.set(policy.version, policy)
      expect(await desk.apply({ text, author: 'test' })).toMatchObject({ kind: 'applied' })
      if (n % 10 === 0) await world.decidesWith(policy.version)
    }
    await send(7)
    // The partition changes hands in between: the other sampler goes on with the same version.
    if (n === 50) await first.stop()
  }
  await world.settled()
  expect(await checkPositions(policies)).toBe(700)
  expect(await deskOf().history()).toHaveLength(101)
  await second.stop()
})

test('a sampler that starts later uses what was applied, and says that its own file is not used', async () => {
  world = new World()
  await world.start()
  const text = policyText('applied', 0.3)
  const { version } = parsePolicy(text)
  await deskOf().apply({ text, author: 'ada', message: 'why' })
  await world.decidesWith(version)
  await world.samplers[0]?.stop()
  const lines: string[] = []
  const log = {
    info: () => {},
    error: () => {},
    warn: (kind: string, fields?: object) => void lines.push(`${kind} ${JSON.stringify(fields)}`),
  }
  const other = parsePolicy(policyText('other', 0.9))
  const late = await world.start({ policy: other, log })
  await world.decidesWith(version)
  expect(lines.join()).toMatch(/sampler.policy_file_ignored .*winnow policy release/)
  expect((await deskOf().show()).inForce).toMatchObject({ version, author: 'ada', message: 'why' })
  await deskOf().release({ author: 'ada' })
  late.usePolicy(other)
  await world.decidesWith(other.version)
})

test('of two samplers with different files the last one’s is in force for both', async () => {
  world = new World()
  await world.start({ policy: parsePolicy(policyText('a', 0.1)) })
  await world.decidesWith(parsePolicy(policyText('a', 0.1)).version)
  const b = parsePolicy(policyText('b', 0.2))
  await world.start({ policy: b })
  await world.decidesWith(b.version)
  expect(await deskOf().history()).toMatchObject([{ version: b.version }, { source: 'file' }])
})

test('a broken policy on control leaves the last good one in force, in sight of everybody', async () => {
  world = new World()
  const health = new Health()
  await world.start({ health })
  await world.decidesWith(defaultPolicy.version)
  const entry = { kind: 'policy-in-force', version: 'gone-00000000', source: 'api' } as const
  const record = policyEntryRecord({ ...entry, n: 9, atMs: 1 })
  await world.bus.append(topics.control, 0, [record])
  await until(async () => (await health.read()).degraded)
  expect((await health.read()).parts.policy?.detail).toContain(
    `gone-00000000 cannot be used: its rules are not in control; ${defaultPolicy.version} stays in force`,
  )
  expect(await world.metric('winnow_policies_refused_total')).toBe('1')
  await send(1)
  await world.settled()
  expect((await world.decisions()).at(-1)).toMatchObject({ policyVersion: defaultPolicy.version })
  await deskOf().apply({ text: policyText('good', 0.1) })
  await until(async () => !(await health.read()).degraded)
})

test('the verdict of a shadow is recorded and counted, and nothing is done about it', async () => {
  world = new World()
  await world.start()
  await world.decidesWith(defaultPolicy.version)
  await send(1)
  await world.settled()
  expect((await world.decisions()).at(-1)).not.toHaveProperty('shadow')
  const text = 'version: all\nrules: [{ kind: slow }, { kind: ordinary, probability: 1 }]'
  const { version } = parsePolicy(text)
  await deskOf().apply({ text, shadow: true })
  await until(async () => {
    const claims = (await world.decisions()).filter(one => one.kind === 'claim')
    return claims.at(-1)?.shadow === version
  })
  const id = traceIdOf(70_000)
  await world.write(summary(id, [world.slice(70_000, [1], root(9))]))
  await world.settled()
  expect(await world.of(id)).toMatchObject([
    {
      verdict: 'drop',
      policyVersion: defaultPolicy.version,
      shadow: { policyVersion: version, verdict: 'keep', primary: 'ordinary', probability: 1 },
    },
  ])
  const line = 'winnow_shadow_decisions_total{live="drop",shadow="keep",rule="ordinary"}'
  expect(await world.metric(line)).toBe('1')
  await deskOf().apply({ shadow: true })
  await until(async () => {
    const claims = (await world.decisions()).filter(one => one.kind === 'claim')
    return claims.at(-1)?.shadow === undefined
  })
})
