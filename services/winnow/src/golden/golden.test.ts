import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type FormatName, formats } from '@winnow/model'
import { KeyRing, silentLog } from '@winnow/runtime'
import { parsePolicy } from '@winnow/sampler'
import { expect, onTestFinished, test } from 'vitest'
import { loadConfig } from '../program-config.ts'

/** Where the golden file of a version of each format lies, from the root of the tree. */
const goldens: Readonly<Record<FormatName, (v: number) => readonly string[]>> = {
  tenantRuns: v => [`packages/model/src/golden/tenant-runs.v${v}.jsonl`],
  evidence: v => [
    `services/assembler/src/golden/summary.v${v}.jsonl`,
    `packages/model/src/golden/evaluation.v${v}.jsonl`,
    `packages/model/src/golden/request.v${v}.jsonl`,
    `packages/model/src/golden/packed-slice.v${v}.jsonl`,
  ],
  decision: v => [
    `services/sampler/src/golden/decision.v${v}.jsonl`,
    `services/sampler/src/golden/claim.v${v}.jsonl`,
    `services/sampler/src/golden/claim-policies.v${v}.jsonl`,
  ],
  baselines: v => [`services/sampler/src/golden/baselines.v${v}.jsonl`],
  policyRecord: v => [`services/sampler/src/golden/policy.v${v}.jsonl`],
  spendRecord: v => [`services/sampler/src/golden/spend.v${v}.jsonl`],
  erasureRecord: v => [`services/writer/src/golden/erasure.v${v}.jsonl`],
  positionNote: v => [`services/writer/src/golden/position-note.v${v}.jsonl`],
  checkpoint: v => [`services/assembler/src/golden/checkpoint.v${v}.bin`],
  sortedFile: v => [
    `packages/storage/src/index/golden/snapshot-v${v}.idx`,
    `packages/storage/src/index/golden/ids-v${v}.idx`,
  ],
  segment: v =>
    ['ledger', 'warm', 'cold'].map(tier => `packages/storage/src/golden/${tier}-v${v}.parquet`),
  hold: v => [`packages/storage/src/golden/trace-v${v}.hold`],
  hotFile: v => [`packages/storage/src/golden/hot-v${v}.sql`],
  spanPack: v => [`packages/storage/src/golden/span-pack-v${v}.bin`],
  logSegment: v => [`packages/bus/src/golden/segment-v${v}.bin`],
  positions: v => [`packages/bus/src/golden/positions-v${v}.txt`],
  configuration: v => [`services/winnow/src/golden/configuration.v${v}.yaml`],
  policyFile: v => [`services/winnow/src/golden/policy-file.v${v}.yaml`],
  keysFile: v => [`services/winnow/src/golden/keys-file.v${v}.yaml`],
}

test('every format has a golden file of its version, and of the one before that is still read', () => {
  for (const [name, places] of Object.entries(goldens)) {
    const own = formats[name as FormatName]
    for (const v of own > 1 ? [own - 1, own] : [own]) {
      for (const place of places(v)) {
        expect(existsSync(new URL(`../../../../${place}`, import.meta.url)), place).toBe(true)
      }
    }
  }
})

const pathOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const textOf = (name: string): string => readFileSync(pathOf(name), 'utf8')

test('a configuration of the first release is read', () => {
  const config = loadConfig({
    file: 'configuration.v1.yaml',
    env: {},
    options: {},
    readFile: textOf,
  })
  expect(config.topics).toMatchObject({ prefix: 'traces', partitions: 24 })
  expect(config.receiver.spanBytesMax).toBe(512 * 1024)
  expect(config.assembler.quiet).toBe(8_000)
  expect(config.kafkaSource.topics).toEqual(['otlp_spans'])
})

test('a configuration and a policy of a newer release are refused with the versions that are read', () => {
  const newer = (name: string) => () => textOf(name).replace(/^v: \d+/, 'v: 9')
  const load = () =>
    loadConfig({ file: 'f', env: {}, options: {}, readFile: newer('configuration.v1.yaml') })
  expect(load).toThrow(/v is "9": is the format of the file; this release reads 1/)
  expect(() => parsePolicy(newer('policy-file.v1.yaml')())).toThrow(/this release reads 1/)
})

test('a policy file of the first release is read, under the version that its rules had', () => {
  const { version, rules } = parsePolicy(textOf('policy-file.v1.yaml'))
  expect(version).toMatch(/^golden-[0-9a-f]{8}$/)
  expect(rules.map(({ kind }) => kind)).toEqual([
    'span-error',
    'low-csat',
    'slow',
    'active-variant',
    'ordinary',
  ])
})

test('a keys file of the first release is read', () => {
  const ring = KeyRing.open({ keysFile: pathOf('keys-file.v1.yaml'), log: silentLog })
  onTestFinished(() => ring?.close())
  const hash = '2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b'
  expect(ring?.get(hash)?.tenant).toBe('team-a')
})
