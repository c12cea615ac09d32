import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type Erasure, erasureRecord, readErasureRecord, tracesRecord } from './erasure-record.ts'

const erasure: Erasure = {
  id: '5c1e09b2f3a47d68',
  tenant: 'acme',
  field: 'user.id_hash',
  tokens: ['h_4f81a09c2b17aaaa'],
  by: 'ops',
  askedAtMs: 1_795_244_400_000,
  state: 'waiting-for-retention',
  step: 'removing',
  looked: 12,
  found: 2,
  blockedAtMs: 1_795_244_401_000,
  decidedAtMs: 1_795_244_390_000,
  removed: {
    hot: { objects: 2, rows: 16, bytes: 20_480 },
    warm: { objects: 1, rows: 16, bytes: 900 },
    cold: { objects: 1, rows: 16, bytes: 880 },
    ledger: { objects: 1, rows: 2, bytes: 310 },
  },
  resumed: true,
  waits: [{ where: 'winnow.spans.1', untilMs: 1_795_330_801_000 }],
  removedAtMs: 1_795_244_402_000,
}

const traceIds = ['48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f', '58f9c3e1b7a64f2c9d2e0a1b3c4d5e6f']

test('an erasure and its traces are written as the golden file has them, and read from it', () => {
  const golden = readFileSync(new URL('../golden/erasure.v1.jsonl', import.meta.url), 'utf8')
  const records = [erasureRecord(erasure), tracesRecord(erasure.id, traceIds)]
  const lines = records.map(
    ({ key, value }) => `${Buffer.from(key ?? []).toString()} ${Buffer.from(value).toString()}`,
  )
  expect(`${lines.join('\n')}\n`).toBe(golden)
  expect(records.map(({ key, value }) => readErasureRecord(key, value))).toEqual([
    { kind: 'erasure', erasure },
    { kind: 'traces', id: erasure.id, chunk: 'b3816e913fb9c17e', traceIds },
  ])
})

test('a newer record is refused by name, and what is another’s is passed over', () => {
  const { key } = erasureRecord(erasure)
  const newer = Buffer.from('{"v":9,"kind":"erasure"}')
  expect(() => readErasureRecord(key, newer)).toThrow(
    /erasure\/5c1e09b2f3a47d68 in control has format v 9/,
  )
  expect(readErasureRecord(Buffer.from('policy/1'), newer)).toBeUndefined()
  expect(readErasureRecord(undefined, newer)).toBeUndefined()
})

test('what is no record under the name of one is passed over', () => {
  const job = erasureRecord(erasure).key
  const traces = tracesRecord(erasure.id, traceIds).key
  const foreign = [
    '',
    'x',
    'null',
    '7',
    '[]',
    '{}',
    '{"v":1}',
    '{"v":1,"kind":"erasure"}',
    '{"v":1,"kind":"erasure","id":"5c1e09b2f3a47d68","tenant":"acme","state":"gone"}',
    '{"v":1,"kind":"erasure-traces"}',
    '{"v":1,"kind":"erasure-traces","traceIds":[7]}',
  ]
  for (const key of [job, traces]) {
    for (const value of foreign) {
      expect(readErasureRecord(key, Buffer.from(value)), value).toBeUndefined()
    }
  }
  // Each under the other's name.
  expect(readErasureRecord(traces, erasureRecord(erasure).value)).toBeUndefined()
  expect(readErasureRecord(job, tracesRecord(erasure.id, traceIds).value)).toBeUndefined()
})
