import { createHash } from 'node:crypto'
import type { BusRecord, NewRecord } from '@winnow/bus'
import { expect, test } from 'vitest'
import { parsePolicy } from './policy-file.ts'
import { PolicyLog } from './policy-log.ts'
import {
  type PolicyEntry,
  policyEntryRecord,
  policyHistoryMax,
  policyTextRecord,
  spareTextsMax,
} from './policy-record.ts'

const one = parsePolicy('version: one\nrules: [{ kind: ordinary }]')
const two = parsePolicy('version: two\nrules: [{ kind: ordinary, probability: 0.5 }]')

/** A log of `control`, record by record, as a reader has it. */
class Control {
  readonly log = new PolicyLog()
  #offset = 0
  #n = 0

  add(...records: readonly NewRecord[]): this {
    const read = records.map(record => ({ ...record, offset: this.#offset++, appendedAtMs: 0 }))
    this.log.apply(read as readonly BusRecord[])
    return this
  }

  say(version: string | null, more: Partial<PolicyEntry> = {}): this {
    const entry = {
      kind: 'policy-in-force',
      version,
      n: ++this.#n,
      source: 'file',
      atMs: 1,
    } as const
    return this.add(policyEntryRecord({ ...entry, ...more }))
  }

  get inForce(): string | undefined {
    return this.log.state.inForce?.version
  }
}

const both = (): Control => new Control().add(policyTextRecord(one), policyTextRecord(two))

test('the last that was said is in force, and what others keep in control is passed over', () => {
  const control = both().say(one.version).say(two.version)
  control.add({ key: Buffer.from('spend/e/B'), value: Buffer.from('not JSON') })
  expect(control.inForce).toBe(two.version)
  expect(control.log.state).toMatchObject({ shadow: undefined, broken: undefined })
  expect(control.log.history.map(({ version }) => version)).toEqual([one.version, two.version])
})

test('a file has no effect while one from the API is in force, until that is released', () => {
  const control = both().say(one.version, { source: 'api' }).say(two.version)
  expect(control.inForce).toBe(one.version)
  control.say(one.version, { source: 'released' })
  expect(control.inForce).toBe(one.version)
  expect(control.say(two.version).inForce).toBe(two.version)
})

test.each([
  ['no JSON', { key: Buffer.from('policy-applied/7'), value: Buffer.from('{') }, 'not JSON'],
  [
    'of a newer release',
    { key: Buffer.from('policy-applied/7'), value: Buffer.from('{"v":9}') },
    'format 9',
  ],
  [
    'a version without rules',
    policyEntryRecord({ kind: 'policy-in-force', version: 'x-1', n: 7, source: 'api', atMs: 1 }),
    'its rules are not in control',
  ],
])(
  '%s leaves the last good policy in force, and is told until a good one comes',
  (_, record, why) => {
    const control = both().say(one.version).add(record)
    expect(control.inForce).toBe(one.version)
    expect(control.log.state.broken).toContain(why)
    control.say(two.version)
    expect(control.log.state).toMatchObject({
      inForce: { version: two.version },
      broken: undefined,
    })
  },
)

test('rules that are not those of their version are never used', () => {
  const record = policyTextRecord(two)
  const value = Buffer.from(Buffer.from(record.value).toString().replace('0.5', '0.6'))
  const control = new Control().add(policyTextRecord(one), { ...record, value })
  control.say(one.version).say(two.version)
  expect(control.inForce).toBe(one.version)
  expect(control.log.state.broken).toContain('its rules are not those of its version')
})

test('a rule that this release does not know leaves the last good policy in force', () => {
  const rules = [{ kind: 'of-tomorrow' }, { kind: 'ordinary' }]
  const later = { ...two, rules } as never as typeof two
  const hash = createHash('sha256').update(JSON.stringify(rules)).digest('hex').slice(0, 8)
  const version = `later-${hash}`
  const control = both()
    .say(one.version)
    .add(policyTextRecord({ ...later, version }))
  control.say(version)
  expect(control.inForce).toBe(one.version)
  expect(control.log.state.broken).toMatch(/rules\[0\].*no such kind of rule/)
})

test('a shadow begins, is replaced and ends beside the policy in force', () => {
  const control = both().say(one.version)
  control.say(two.version, { kind: 'policy-shadow' })
  expect(control.log.state.shadow?.version).toBe(two.version)
  expect(control.inForce).toBe(one.version)
  control.say(null, { kind: 'policy-shadow' })
  expect(control.log.state).toMatchObject({ shadow: undefined, shadowEntry: { version: null } })
})

test('the history keeps as many entries as it may, and then the last ones', () => {
  const control = both()
  for (let n = 0; n < policyHistoryMax; n++) control.say(one.version)
  expect(control.log.history).toHaveLength(policyHistoryMax)
  control.say(two.version)
  expect(control.log.history).toHaveLength(policyHistoryMax)
  expect(control.log.history.at(0)?.n).toBe(2)
  expect(control.inForce).toBe(two.version)
  const said = { kind: 'policy-in-force', source: 'file' } as const
  expect(control.log.nextNumber(said)).toBe(policyHistoryMax + 2)
})

test('entries of the shadow, however many, take nothing from the history of what is in force', () => {
  const control = both().say(one.version, { source: 'api' })
  for (let n = 1; n <= policyHistoryMax + 1; n++) {
    control.say(two.version, { kind: 'policy-shadow', source: 'api', n })
  }
  expect(control.inForce).toBe(one.version)
  expect(control.log.state.inForce).toMatchObject({ offset: 2, source: 'api' })
})

test('what is in force stays, however often it is released', () => {
  const control = both().say(one.version, { source: 'api' })
  control.say(one.version, { source: 'released', n: 1, of: 2 }).say(two.version)
  const { offset } = control.log.state.inForce ?? { offset: -1 }
  for (let n = 2; n <= policyHistoryMax + 1; n++) {
    control.say(two.version, { source: 'released', n, of: offset })
  }
  // The release that let the file have effect is no longer in the history.
  expect(control.log.state.inForce).toMatchObject({ version: two.version, source: 'file', offset })
  expect(control.say(one.version).inForce).toBe(one.version)
})

test('a release that did not see the policy applied before it takes nothing from it', () => {
  const control = both().say(one.version, { source: 'api' })
  control.say(two.version, { source: 'api' })
  control.say(one.version, { source: 'released', n: 1, of: 2 })
  expect(control.log.state.inForce).toMatchObject({ version: two.version, source: 'file' })
})

test('of texts that no entry names as many stay as may, once control is read to its end', () => {
  const text = (n: number) =>
    policyTextRecord({ ...one, version: `t${n}-${one.version.slice(-8)}` })
  const control = both().say(one.version)
  for (let n = 1; n < spareTextsMax; n++) control.add(text(n))
  control.log.tidy()
  // `two` is named by nobody either.
  expect(control.log.versions).toHaveLength(1 + spareTextsMax)
  control.add(text(spareTextsMax))
  expect(control.log.text(two.version)).toBeDefined()
  control.log.tidy()
  expect(control.log.versions).toHaveLength(1 + spareTextsMax)
  expect(control.log.text(two.version)).toBeUndefined()
  expect(control.inForce).toBe(one.version)
  expect(control.add(policyTextRecord(two)).say(two.version).inForce).toBe(two.version)
})
