import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { evaluationsFrom } from './evaluation-input.ts'
import type { RescueRequest } from './evidence.ts'
import {
  acceptsVersion,
  formatNames,
  formats,
  isNewerVersion,
  writePreviousFormats,
  writtenVersion,
} from './formats.ts'
import { decodeTenantRuns, encodeTenantRuns } from './tenant-runs.ts'

const golden = (name: string): string =>
  readFileSync(new URL(`golden/${name}.jsonl`, import.meta.url), 'utf8').trimEnd()

const traceId = '48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f'

test('the header of a spans record is its golden file, and is read from it', () => {
  const runs = [
    { tenant: 'acme', start: 0, length: 13_107 },
    { tenant: 'globex', start: 13_107, length: 6_554 },
  ]
  expect(Buffer.from(encodeTenantRuns(runs)).toString()).toBe(golden('tenant-runs.v1'))
  expect(decodeTenantRuns(Buffer.from(golden('tenant-runs.v1')))).toEqual(runs)
})

test('an evaluation is written as its golden file has it', () => {
  const input = evaluationsFrom('acme', {
    id: 'survey-1',
    traceId,
    spanId: '0100000000000000',
    name: 'csat',
    score: '2',
    label: 'unhappy',
    passed: false,
    source: 'survey',
    at: '2026-11-21T10:00:00Z',
    comment: 'two weeks late',
  })
  expect(input.kind === 'evaluations' && JSON.stringify(input.records[0])).toBe(
    golden('evaluation.v1'),
  )
})

test('an evaluation without an id of its own has the hash of its content', () => {
  const input = evaluationsFrom('acme', { traceId, name: 'judge', label: 'fail' })
  expect(input.kind === 'evaluations' && JSON.stringify(input.records[0])).toBe(
    golden('evaluation-hashed.v1'),
  )
})

test('the golden rescue request has every field of the format', () => {
  const request: RescueRequest = {
    v: 1,
    kind: 'request',
    tenant: 'acme',
    traceId,
    id: `${traceId}.rescue-1`,
    reason: 'customer escalation',
  }
  expect(JSON.parse(golden('request.v1'))).toEqual(request)
})

afterEach(() => writePreviousFormats(false))

test('a release reads its own version and the one before, no other, and there is no version 0', () => {
  for (const name of formatNames) {
    const own = formats[name]
    expect(acceptsVersion(name, own), name).toBe(true)
    expect(acceptsVersion(name, own - 1), name).toBe(own > 1)
    for (const other of [own - 2, own + 1, `${own}`, undefined, null]) {
      expect(acceptsVersion(name, other), `${name} ${other}`).toBe(false)
    }
    expect([isNewerVersion(name, own), isNewerVersion(name, own + 1)], name).toEqual([false, true])
  }
})

test('what is written is the own version, or the one before where somebody older may read it', () => {
  for (const name of formatNames) {
    expect(writtenVersion(name)).toBe(formats[name])
    writePreviousFormats(true)
    expect(writtenVersion(name)).toBe(Math.max(1, formats[name] - 1))
    writePreviousFormats(false)
  }
})
