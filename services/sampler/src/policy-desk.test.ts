import { type Bus, MemoryBus } from '@winnow/bus'
import { columnsMax } from '@winnow/model'
import { ManualClock } from '@winnow/runtime'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type PolicyAnswer, PolicyDesk, policyWaitMaxMs } from './policy-desk.ts'
import { parsePolicy, policyOfRecord } from './policy-file.ts'
import { PolicyLog } from './policy-log.ts'
import { policyEntryRecord, policyTextRecord, spareTextsMax } from './policy-record.ts'
import { specs, topics } from './world.fixture.ts'

const textOf = (version: string): string => `version: ${version}\nrules: [{ kind: ordinary }]`
const versionOf = (version: string): string => parsePolicy(textOf(version)).version

/** `control` and the desks of a fleet. */
class Fleet {
  readonly clock = new ManualClock()
  readonly bus = new MemoryBus(Object.values(specs), this.clock)

  desk(bus: Bus = this.bus): PolicyDesk {
    return new PolicyDesk({ bus, control: topics.control, clock: this.clock })
  }

  /** Two desks that have both read before the first of them says something. */
  together(): readonly [PolicyDesk, PolicyDesk] {
    const both = Promise.withResolvers<void>()
    let waiting = 0
    const append: Bus['append'] = async (...args) => {
      if (++waiting === 2) both.resolve()
      await both.promise
      return this.bus.append(...args)
    }
    const bus = new Proxy(this.bus, {
      get: (target, key) => {
        if (key === 'append') return append
        const own = Reflect.get(target, key)
        return typeof own === 'function' ? own.bind(target) : own
      },
    })
    return [this.desk(bus), this.desk(bus)]
  }
}

const wasApplied = (answers: readonly PolicyAnswer[]): void => {
  expect(answers.map(({ kind }) => kind)).toEqual(answers.map(() => 'applied'))
}

test('a policy in force and one in the shadow, applied at the same moment, both take effect', async () => {
  const fleet = new Fleet()
  await fleet.desk().apply({ text: textOf('old') })
  const [a, b] = fleet.together()
  wasApplied(
    await Promise.all([
      a.apply({ text: textOf('new') }),
      b.apply({ text: textOf('beside'), shadow: true }),
    ]),
  )
  const { inForce, shadow } = await fleet.desk().show()
  expect(inForce?.version).toBe(versionOf('new'))
  expect(shadow?.version).toBe(versionOf('beside'))
})

test('a release of both is said again whole where another takes the place of one of them', async () => {
  const fleet = new Fleet()
  const desk = fleet.desk()
  await desk.apply({ text: textOf('live') })
  await desk.apply({ text: textOf('beside'), shadow: true })
  const append = fleet.bus.append.bind(fleet.bus)
  fleet.bus.append = async (topic, partition, records) => {
    fleet.bus.append = append
    const first = await append(topic, partition, records)
    // As another desk would have said it that knew of no shadow: under the number of the last entry.
    const [last] = records.slice(-1)
    const said = JSON.parse(Buffer.from(last?.value ?? []).toString())
    await append(topic, partition, [policyEntryRecord({ ...said, author: 'another' })])
    return first
  }
  const answer = await desk.release({ author: 'own' })
  expect(answer).toMatchObject({ kind: 'applied', applied: { kind: 'live', author: 'own' } })
  expect((await desk.history())[0]).toMatchObject({ kind: 'live', source: 'released' })
})

test('changes of one desk at the same moment are made one after another', async () => {
  const fleet = new Fleet()
  const desk = fleet.desk()
  const names = ['a', 'b', 'c']
  const answers = await Promise.all(names.map(name => desk.apply({ text: textOf(name) })))
  wasApplied(answers)
  expect(answers.map(answer => answer.kind === 'applied' && answer.before)).toEqual([
    null,
    versionOf('a'),
    versionOf('b'),
  ])
  expect((await desk.history()).map(({ version }) => version)).toEqual(
    names.map(versionOf).reverse(),
  )
})

test('of two policies applied at the same moment both are in the history, one of them in force', async () => {
  const fleet = new Fleet()
  const [a, b] = fleet.together()
  wasApplied(await Promise.all([a.apply({ text: textOf('a') }), b.apply({ text: textOf('b') })]))
  const history = (await fleet.desk().history()).map(({ version }) => version)
  expect(history.toSorted()).toEqual([versionOf('a'), versionOf('b')])
  expect((await fleet.desk().show()).inForce?.version).toBe(history[0])
})

test('a file that is said after an API’s policy, and before it was read, takes nothing from it', async () => {
  const fleet = new Fleet()
  await fleet.desk().apply({ text: textOf('applied') })
  const file = parsePolicy(textOf('file'))
  const seed = { kind: 'policy-in-force', version: file.version, source: 'file' } as const
  const n = new PolicyLog().nextNumber(seed)
  const records = [policyTextRecord(file), policyEntryRecord({ ...seed, n, atMs: 1 })]
  await fleet.bus.append(topics.control, 0, records)
  expect((await fleet.desk().show()).inForce?.version).toBe(versionOf('applied'))
})

test('a policy with ceilings is shown with them, so that it can be read again', async () => {
  const desk = new Fleet().desk()
  const ceilings = 'ceilings: [{ rule: ordinary, perMinute: 60 }]'
  const text = `${textOf('limited')}\n${ceilings}`
  await desk.apply({ text })
  await desk.apply({ text, shadow: true })
  const { inForce, shadow } = await desk.show()
  for (const shown of [inForce, shadow]) {
    expect(shown?.policy.ceilings).toEqual([{ rule: 'ordinary', perMinute: 60 }])
    expect(shown && policyOfRecord(shown.policy)).toEqual(parsePolicy(text))
  }
})

test('the key that a policy was applied with, or released, is in the history', async () => {
  const desk = new Fleet().desk()
  await desk.apply({ text: textOf('one'), author: 'ada', key: 'ci' })
  await desk.release({ author: 'bob', key: 'ops' })
  expect(await desk.history()).toMatchObject([
    { author: 'bob', key: 'ops', source: 'released' },
    { author: 'ada', key: 'ci', source: 'api' },
  ])
})

test('a version that no entry names is said with its text, so that whoever let go of it has it', async () => {
  const fleet = new Fleet()
  const text = `${textOf('spare')} # as it was written`
  const spare = parsePolicy(text)
  await fleet.bus.append(topics.control, 0, [policyTextRecord(spare, text)])
  const desk = fleet.desk()
  for (const _ of 'ab') wasApplied([await desk.apply({ version: spare.version })])
  const { records } = await fleet.bus.read(topics.control, 0, 1, 1e9, 0)
  expect(records.map(({ value }) => JSON.parse(Buffer.from(value).toString()))).toMatchObject([
    { kind: 'policy', version: spare.version, text },
    { kind: 'policy-in-force', version: spare.version },
    { kind: 'policy-in-force', version: spare.version },
  ])
})

test('texts that nothing names are let go of by who reads control', async () => {
  const fleet = new Fleet()
  const desk = fleet.desk()
  const spare = Array.from({ length: spareTextsMax + 1 }, (_, n) => parsePolicy(textOf(`t${n}-`)))
  await fleet.bus.append(
    topics.control,
    0,
    spare.map(policy => policyTextRecord(policy)),
  )
  expect(await desk.text(spare[0]?.version as string)).toBeUndefined()
  expect(await desk.text(spare[1]?.version as string)).toBeDefined()
})

test('a policy and a shadow that name too much together are refused, at the limit and past it', async () => {
  const naming = (key: string, count: number) => {
    const rules = Array.from({ length: count }, (_, at) => {
      return `  - { kind: condition, name: r${at}, when: 'attribute["${key}${at}"] == 1' }\n`
    })
    return `version: ${key}\nrules:\n${rules.join('')}  - { kind: ordinary }\n`
  }
  const desk = new Fleet().desk()
  wasApplied([await desk.apply({ text: naming('a', columnsMax - 1) })])
  wasApplied([await desk.apply({ text: naming('b', 1), shadow: true })])
  const refused = [
    await desk.apply({ text: naming('c', 2), shadow: true }),
    await desk.apply({ text: naming('d', columnsMax) }),
  ]
  for (const answer of refused) {
    expect(answer).toMatchObject({
      kind: 'mistakes',
      mistakes: [expect.stringMatching(/33 .* together, more than 32/)],
    })
  }
  wasApplied([
    await desk.apply({ shadow: true }),
    await desk.apply({ text: naming('d', columnsMax) }),
  ])
})

test('control that takes no policy is waited for as long as policyWaitMaxMs', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const fleet = new Fleet()
  const appended = Promise.withResolvers<void>()
  fleet.bus.append = () => {
    appended.resolve()
    return new Promise(() => {})
  }
  const seen: unknown[] = []
  const applied = fleet
    .desk()
    .apply({ text: textOf('new') })
    .catch(error => seen.push(error))
  await appended.promise
  await vi.advanceTimersByTimeAsync(policyWaitMaxMs - 1)
  expect(seen).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  await applied
  expect(seen).toMatchObject([{ code: 'BUS_UNAVAILABLE' }])
})
