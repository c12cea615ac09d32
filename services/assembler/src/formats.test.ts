import { readFileSync } from 'node:fs'
import { encodeTenantRuns } from '@winnow/model'
import { encodeTraces } from '@winnow/otlp'
import { trace48fRequests } from '@winnow/testing'
import { expect, test } from 'vitest'
import { assemblerConfigSchema } from './config.ts'
import { PartitionFold } from './partition-fold.ts'
import { sliceReader } from './read-slices.ts'
import { summaryJson } from './summary-json.ts'

test('the summary of trace 48f, sent in four requests, is its golden file', () => {
  const golden = readFileSync(new URL('golden/summary.v1.jsonl', import.meta.url), 'utf8').trimEnd()
  const fold = new PartitionFold(assemblerConfigSchema.parse({}), 0)
  const read = sliceReader()
  trace48fRequests().forEach((request, offset) => {
    const value = encodeTraces(request)
    const header = encodeTenantRuns([{ tenant: 'default', start: 0, length: value.length }])
    fold.apply(offset, 1_000_000 + offset, read(value, header))
  })
  fold.apply(4, 1_010_000, [])
  const [closed] = fold.closed
  const text = closed === undefined ? '' : summaryJson(7, fold, closed)
  expect(text).toBe(golden)
  expect(JSON.parse(text)).toMatchObject({ v: 1, kind: 'summary', reason: 'root' })
})
