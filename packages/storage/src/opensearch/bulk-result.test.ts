import { expect, test } from 'vitest'
import { outcomeOf, resultLabel } from './bulk-result.ts'
import { busyFirstMs, busyMaxMs, busyPauseMs } from './bulk-writer.ts'

const outcome = (status: number, type?: string, reason = '') =>
  outcomeOf(
    { status, ...(type !== undefined && { error: { type, reason } }) },
    'w-spans-2026-11-21',
  )

test('what an item’s answer means', () => {
  const kinds: [number, string | undefined, string][] = [
    [200, undefined, 'written'],
    [201, undefined, 'written'],
    [409, 'version_conflict_engine_exception', 'known'],
    [429, 'rejected_execution_exception', 'busy'],
    [429, 'circuit_breaking_exception', 'busy'],
    [429, 'cluster_block_exception', 'held'],
    [403, 'cluster_block_exception', 'held'],
    [403, 'security_exception', 'held'],
    [400, 'index_closed_exception', 'held'],
    [400, 'validation_exception', 'held'],
    [404, 'index_not_found_exception', 'held'],
    [500, 'exception', 'held'],
    [503, 'unavailable_shards_exception', 'held'],
    [400, 'mapper_parsing_exception', 'poison'],
    [400, 'illegal_argument_exception', 'poison'],
  ]
  for (const [status, type, kind] of kinds) {
    expect(outcome(status, type).kind, `${status} ${type}`).toBe(kind)
  }
  expect(resultLabel(outcome(400, 'mapper_parsing_exception'))).toBe('rejected')
})

test('what holds an index up is said with the index and the remedy', () => {
  const why = (status: number, type: string, reason: string): string => {
    const made = outcome(status, type, reason)
    return made.kind === 'held' ? made.why : ''
  }
  const block =
    'index [w-spans-2026-11-21] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];'
  expect(why(429, 'cluster_block_exception', block)).toMatch(
    /w-spans-2026-11-21 .*flood stage.*room/,
  )
  const blocked = 'index [w-spans-2026-11-21] blocked by: [FORBIDDEN/8/index write (api)];'
  expect(why(403, 'cluster_block_exception', blocked)).toMatch(
    /read-only .*index.blocks.write.*null/,
  )
  expect(why(400, 'index_closed_exception', 'closed')).toMatch(/is closed: open it .*_open/)
  expect(why(400, 'validation_exception', 'shards')).toMatch(/max_shards_per_node/)
  expect(why(403, 'security_exception', 'no permissions')).toMatch(/opensearch.username/)
})

test('of a poison document the kind and the field are named, and none of its text', () => {
  const secret = 'mrs smith of 5 elm street'
  const reason = (text: string): string => {
    const made = outcome(400, 'mapper_parsing_exception', text)
    return made.kind === 'poison' ? made.reason : ''
  }
  const parse = `failed to parse field [durationInNanos] of type [boolean] in document with id '1'. Preview of field's value: '${secret}'`
  expect(reason(parse)).toBe('mapper_parsing_exception: durationInNanos')
  const immense = `Document contains at least one immense term in field="attributes._value" (whose UTF8 encoding is longer than the max length 32766), the prefix is: '[109, 114]'`
  expect(reason(immense)).toBe('mapper_parsing_exception: attributes._value')
  const object = `object mapping for [traceState] tried to parse field [traceState] as object, but found a concrete value`
  expect(reason(object)).toBe('mapper_parsing_exception: traceState')
  expect(reason(secret)).toBe('mapper_parsing_exception')
})

test('pauses double up to the longest, and differ by up to half', () => {
  expect(busyPauseMs(0, 1)).toBe(busyFirstMs)
  expect(busyPauseMs(0, 0)).toBe(busyFirstMs / 2)
  expect(busyPauseMs(2, 1)).toBe(4 * busyFirstMs)
  expect(busyPauseMs(60, 1)).toBe(busyMaxMs)
})
