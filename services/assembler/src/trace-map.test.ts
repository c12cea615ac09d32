import { Random } from '@winnow/testing'
import { expect, test } from 'vitest'
import { OpenTrace } from './open-trace.ts'
import { wordsOfTrace } from './trace-key.ts'
import { TraceMap } from './trace-map.ts'

const hexOf = (n: number): string => n.toString(16).padStart(8, '0').repeat(4)
const traceOf = (tenant: string, n: number): OpenTrace =>
  new OpenTrace({ tenant, ...wordsOfTrace(hexOf(n)) }, 0, n)

test('it finds what a Map finds and keeps its order, through growth, holes and shrinking', () => {
  const seed = Date.now() % 1_000_000
  const random = new Random(seed)
  const map = new TraceMap()
  const model = new Map<string, OpenTrace>()
  for (let step = 0; step < 40_000; step++) {
    // Waves: it fills to some thousands and empties again.
    const fills = step % 10_000 < 6000
    const n = random.int(0, 4000)
    const trace = traceOf(n % 3 === 0 ? 'acme' : 'other', n)
    const known = model.get(trace.key)
    expect(map.find(trace), `seed ${seed}`).toBe(known)
    if (known === undefined && fills) {
      map.add(trace)
      model.set(trace.key, trace)
    } else if (known !== undefined && !fills) {
      known.close('due')
      map.delete(known)
      model.delete(trace.key)
    }
    expect(map.size).toBe(model.size)
    if (step % 1000 !== 0) continue
    expect(
      [...map.values()].map(one => one.key),
      `seed ${seed}`,
    ).toEqual([...model.keys()])
    expect(map.oldest).toBe([...model.values()][0])
  }
})

test('a trace id of two tenants is two traces', () => {
  const map = new TraceMap()
  const [a, b] = [traceOf('a', 7), traceOf('b', 7)]
  map.add(a)
  expect(map.find(b)).toBeUndefined()
  map.add(b)
  expect([map.find(a), map.find(b)]).toEqual([a, b])
  a.close('due')
  map.delete(a)
  expect([map.find(a), map.find(b)]).toEqual([undefined, b])
})

test('an id is the same after it was words', () => {
  for (const id of ['00000000000000000000000000000001', 'fedcba9876543210ffffffff80000000']) {
    expect(new OpenTrace({ tenant: 't', ...wordsOfTrace(id) }, 0, 0).traceId).toBe(id)
  }
})
