import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { Baselines } from './baselines.ts'
import { decodeBaselines, encodeBaselines } from './baselines-record.ts'
import { decisionBytes, encodeClaim, readDecision } from './decision-record.ts'
import { evaluation, request, root, slice, summary, traceIdOf } from './fixtures.ts'
import { defaultPolicy } from './policy-file.ts'
import { policyEntryRecord, policyTextRecord, readPolicyRecord } from './policy-record.ts'
import { revise } from './revise.ts'
import { compilePolicy } from './rules.ts'
import { endedRecord, readSpendRecord, spendRecord } from './spend-record.ts'

/** What releases before this one have written, byte by byte. A change here is a new format number. */
const golden = (name: string): string =>
  readFileSync(new URL(`golden/${name}.jsonl`, import.meta.url), 'utf8').trimEnd()
const textOf = (value: Uint8Array): string => Buffer.from(value).toString()

const id = traceIdOf(0x48f)
const inputs = [
  summary(id, [
    slice(
      7,
      [{ id: 1, error: true, inputTokens: 84, outputTokens: 22, costUsd: 0.000071 }],
      root(2_608, {
        outcomes: [
          {
            name: 'citation',
            spanId: '0700000000000000',
            extracted: 2,
            supported: 1,
            unsupported: 1,
          },
        ],
        experiment: 'e',
        variant: 'B',
      }),
    ),
    slice(9, [{ id: 2 }]),
  ]),
  evaluation(id, { name: 'csat', score: 2, source: 'survey', atMs: 1_900, comment: 'left out' }),
  request(id),
].map(evidence => ({ evidence, appendedAtMs: 2_100 }))

test('a decision is written as its golden file has it, and read from it', () => {
  const revision = revise(undefined, inputs, {
    claim: 40,
    seq: 2,
    policy: compilePolicy(defaultPolicy),
    nowMs: 2_200,
    spansRetentionMs: 86_400_000,
    isLaterSeries: false,
    wasKept: false,
    slowBar: () => ({ threshold: 2_000.5, count: 700, key: 'refund-bot refund_chat.turn B' }),
    variantUsed: () => 0,
  })
  if (revision === undefined) throw new Error('nothing decided')
  const { decision } = revision
  expect(textOf(decisionBytes(decision))).toBe(golden('decision.v1'))
  const read = readDecision(Buffer.from(golden('decision.v1')), 'golden')
  expect(read).toEqual(decision)
})

test('a claim is written as its golden file has it', () => {
  expect(textOf(encodeClaim('host-1-2f'))).toBe(golden('claim.v1'))
})

test('baselines are written as their golden file has them, and read from it', () => {
  const baselines = new Baselines({ windowMs: 3_600_000, countMin: 1, keysMax: 10 })
  const key = {
    tenant: 'default',
    service: 'refund-bot',
    operation: 'refund_chat.turn',
    variant: 'B',
  }
  for (const ms of [900, 1_000, 1_000, 2_608]) baselines.add(3, key, ms, 600_000)
  expect(textOf(encodeBaselines(3, baselines.share(3)))).toBe(golden('baselines.v1'))
  const read = decodeBaselines(Buffer.from(golden('baselines.v1'))) ?? []
  expect(textOf(encodeBaselines(3, read))).toBe(golden('baselines.v1'))
})

test('what variants have used is written as its golden file has it, and read from it', () => {
  const spec = { experiment: 'e', variant: 'B', until: '2026-12-31T00:00:00Z', dailyCap: 9 }
  const records = [spendRecord(3, [[20_454, 'e\nB', 7]]), endedRecord(spec, 7, 2_200)]
  expect(records.map(({ value }) => textOf(value)).join('\n')).toBe(golden('spend.v1'))
  const read = records.map(one => readSpendRecord({ offset: 0, appendedAtMs: 0, ...one })?.kind)
  expect(read).toEqual(['spend', 'variant-ended'])
})

test('a claim names its policies as its golden file has it', () => {
  const policies = { policy: 'one-0123abcd', policyAt: 7, shadow: 'two-4567cdef' }
  expect(textOf(encodeClaim('host-1-2f', policies))).toBe(golden('claim-policies.v1'))
})

test('policies on the control topic are written as their golden file has them, and read from it', () => {
  const { version } = defaultPolicy
  const said = { n: 3, atMs: 2_200 }
  const lines = [
    policyTextRecord(defaultPolicy, 'version: default # as people wrote it\n'),
    policyEntryRecord({ kind: 'policy-in-force', version, source: 'file', ...said }),
    policyEntryRecord({
      kind: 'policy-in-force',
      version,
      source: 'api',
      ...said,
      author: 'ada',
      key: 'ci',
      message: 'why',
    }),
    policyEntryRecord({ kind: 'policy-shadow', version: null, source: 'api', ...said }),
    policyEntryRecord({ kind: 'policy-in-force', version, source: 'released', ...said, of: 7 }),
  ].map(({ value }) => textOf(value))
  expect(lines.join('\n')).toBe(golden('policy.v1'))
  const read = lines.map(line => readPolicyRecord(Buffer.from(line)))
  expect(read).toMatchObject([
    { kind: 'policy', version },
    { kind: 'policy-in-force', version, n: 3, source: 'file' },
    { kind: 'policy-in-force', version, author: 'ada', message: 'why' },
    { kind: 'policy-shadow', version: null },
    { kind: 'policy-in-force', version, source: 'released', of: 7 },
  ])
})
