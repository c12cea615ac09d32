import process from 'node:process'
import { expect, test } from 'vitest'
import { runFuzz } from './run-fuzz.ts'

/** `.ci/run` asks for 100,000. A seed may be given, to see a finding again. */
const inputs = Number(process.env.TEST_FUZZ_INPUTS ?? 5_000)
const seed = Number(process.env.TEST_FUZZ_SEED ?? Date.now() % 1_000_000)

test(`${inputs} inputs: none crashes, hangs or leaks anywhere (seed ${seed})`, {
  timeout: 900_000,
}, async () => {
  const reports = await runFuzz({ inputs, seed })
  // Every target has taken its valid inputs first; of what has a checksum hardly a mutation is taken.
  expect(reports.filter(({ taken }) => taken > 0).length).toBeGreaterThan(reports.length / 2)
  expect(reports.reduce((sum, report) => sum + report.inputs, 0)).toBeGreaterThanOrEqual(inputs)
})
