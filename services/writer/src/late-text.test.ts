import { packSlice, refKey, spanBlockBytes } from '@winnow/model'
import { defaultHotLife } from '@winnow/storage'
import { afterEach, expect, test } from 'vitest'
import { Fixture, spanOf, startMs, traceIdOf } from './writer.fixture.ts'
import { hotGroup } from './writer.ts'

const { textMs } = defaultHotLife

let fixture: Fixture
afterEach(() => fixture.stop())

/** A trace of two slices of a span each, the second so much later, kept so long after the first. */
async function kept(n: number, laterMs: number, decidedAfterMs: number) {
  const traceId = traceIdOf(n)
  const written = await fixture.slices([[spanOf(traceId, 0)], [spanOf(traceId, 1)]])
  const slices = written.map(({ ref }, at) =>
    packSlice({
      ref,
      appendedAtMs: startMs + at * laterMs,
      facts: { startNs: '0', endNs: '0', spans: Buffer.alloc(spanBlockBytes).toString('base64') },
    }),
  )
  const decidedAtMs = startMs + decidedAfterMs
  await fixture.decide(traceId, { slices, decidedAtMs, lastSpanAtMs: startMs + laterMs })
  return { traceId, refs: slices.map(({ ref }) => refKey(ref)) }
}

test('a late keep has the text of what came within a text’s life, and the rows of all', async () => {
  fixture = new Fixture()
  const late = await kept(1, 10 * 3_600_000, 30 * 3_600_000)
  const justInTime = await kept(2, 1, textMs - 1)
  const tooLate = await kept(3, 0, textMs)
  const halfTooLate = await kept(4, 1, textMs)
  const writer = await fixture.writer({ segmentAge: 0 })
  await fixture.committed(hotGroup)
  await writer.stop()
  const texts = async ({ traceId }: { traceId: string }) => {
    const read = await fixture.hot.get('default', traceId)
    expect(read?.spans.length).toBe(2)
    return read?.bodies.map(({ ref }) => ref)
  }
  expect(await texts(late)).toEqual([late.refs[1]])
  expect(await texts(justInTime)).toEqual(justInTime.refs)
  expect(await texts(tooLate)).toEqual([])
  expect(await texts(halfTooLate)).toEqual([halfTooLate.refs[1]])
})
