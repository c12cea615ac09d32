import { expect, test } from 'vitest'
import { type Lying, PipelineTopics, topics } from './topics.fixture.ts'

/** Six slices of one trace; each repeats the last span of the one before. */
async function grown() {
  const pipe = new PipelineTopics()
  const lying: Lying[] = []
  for (let at = 0; at < 6; at++) {
    lying.push(...(await pipe.receive({ trace: 1, spans: [at, at + 1] })))
  }
  const upTo = (slices: number) => ({
    verdict: 'keep' as const,
    spanCount: slices + 1,
    duplicateSpans: slices - 1,
    sliceCount: slices,
  })
  return { pipe, lying, upTo }
}

test('the slices behind prev count with those of the record, and their repeats', async () => {
  const { pipe, lying, upTo } = await grown()
  const first = await pipe.decide(lying.slice(0, 2), upTo(2))
  const second = await pipe.decide(lying.slice(2, 4), { ...upTo(4), revision: 2, prev: first })
  await pipe.decide(lying.slice(4, 5), { ...upTo(5), revision: 3, prev: second })
  await pipe.decide(lying.slice(4, 6), { ...upTo(6), revision: 4, prev: second })
  await pipe.settle()
  const whole = { received: 12, kept: 7, duplicate: 5, balanced: true, problems: 0 }
  expect(await pipe.verify()).toMatchObject(whole)
  pipe.bus.expire(topics.spans, 0, 3)
  expect(await pipe.verify()).toMatchObject({ ...whole, received: 6, kept: 3, duplicate: 3 })
})

test.for(['forgets a record', 'has a slice twice'])(
  'a chain that %s is miscounted',
  async wrong => {
    const { pipe, lying, upTo } = await grown()
    const first = await pipe.decide(lying.slice(0, 2), upTo(2))
    const second = await pipe.decide(lying.slice(2, 4), { ...upTo(4), revision: 2, prev: first })
    const [from, prev] = wrong === 'forgets a record' ? [4, first] : [3, second]
    await pipe.decide(lying.slice(from, 6), { ...upTo(6), revision: 3, prev })
    await pipe.settle()
    const report = await pipe.verify()
    expect(report).toMatchObject({ balanced: false, problems: 1, missing: 0 })
    expect(report.offending[0]).toMatchObject({ problem: 'miscounted' })
  },
)

test('of a chain whose beginning has left decisions the bytes alone are counted', async () => {
  const { pipe, lying, upTo } = await grown()
  const first = await pipe.decide(lying.slice(0, 2), upTo(2))
  await pipe.decide(lying.slice(2, 4), { ...upTo(4), revision: 2, prev: first })
  pipe.bus.expire(topics.decisions, 0, first + 1)
  pipe.bus.expire(topics.spans, 0, 2)
  // Of both slices there are three spans, one of them in a slice that nobody remembers.
  const report = await pipe.verify()
  expect(report).toMatchObject({ received: 8, pending: 4, kept: 3, duplicate: 1, balanced: true })
})

test('a series that goes on with a trace counts its own slices', async () => {
  const { pipe, lying, upTo } = await grown()
  await pipe.decide(lying.slice(0, 4), upTo(4))
  const end = lying[3]?.slice.ref
  if (end === undefined) throw new Error('six slices')
  const seriesFrom = { offset: end.offset, start: end.start }
  await pipe.decide(lying.slice(4, 5), { verdict: 'keep', series: true, seriesFrom })
  await pipe.decide(lying.slice(4, 6), { verdict: 'keep', revision: 2, series: true, seriesFrom })
  await pipe.settle()
  // Span 4 is counted by both: each says of its own slices what is distinct in them.
  expect(await pipe.verify()).toMatchObject({
    received: 12,
    kept: 8,
    duplicate: 4,
    doubled: 0,
    balanced: true,
  })
  await pipe.decide(lying.slice(3, 6), { verdict: 'keep', revision: 3, series: true, seriesFrom })
  expect(await pipe.verify()).toMatchObject({ doubled: 2, balanced: false })
})
