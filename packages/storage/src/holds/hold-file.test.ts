import { ManualClock } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { MemoryBlobStore } from '../memory-blob-store.ts'
import { sampleDecision, sampleSpanRow, sampleTraceId } from '../samples.ts'
import { findInHold } from './find-in-hold.ts'
import {
  encodeHold,
  type HoldContent,
  type HoldHead,
  holdBytesMax,
  holdHeadBytesMax,
  readHold,
  readHoldHead,
} from './hold-file.ts'
import { holdKey, listHolds, parseHoldKey } from './hold-key.ts'

const traceId = sampleTraceId(1)
const untilMs = Date.UTC(2027, 0, 31, 23, 59, 59)
const name = { id: '5c1e09b2f3a47d68', traceId, untilMs }
const key = holdKey('default', name)
const { slices: _slices, ...decision } = sampleDecision(1, { evaluations: [] })
const held: HoldContent = {
  decision,
  spans: [0, 1].map(at => sampleSpanRow(traceId, at)),
  bodies: [{ ref: '3:1:0', bytes: Buffer.from([0, 255, 10]) }],
}

const head = (changes: Partial<HoldHead> = {}): Omit<HoldHead, 'v'> => ({
  id: name.id,
  tenant: 'default',
  traceId,
  level: 'full',
  since: null,
  spans: 2,
  complete: true,
  reason: 'claim 4481',
  by: 'Ann Lee',
  madeAt: '2026-11-21T12:00:00.000Z',
  until: new Date(untilMs).toISOString(),
  ...changes,
})

async function storeWith(bytes: Uint8Array, at = key): Promise<MemoryBlobStore> {
  const store = new MemoryBlobStore(new ManualClock())
  await store.create(at, bytes)
  return store
}

test('what is held is read back as it was, and its first line without the rest', async () => {
  const store = await storeWith(await encodeHold(head(), held))
  const read = await readHold(store, key, 'default')
  expect(read?.head).toEqual({ v: 1, ...head() })
  expect(read?.held.decision).toEqual(decision)
  expect(read?.held.spans).toEqual(held.spans)
  expect(read?.held.bodies.map(({ bytes }) => [...bytes])).toEqual([[0, 255, 10]])
  expect(await readHoldHead(store, key, 'default')).toEqual(read?.head)
  expect(await readHold(store, holdKey('default', { ...name, untilMs: 0 }), 'default')).toBe(
    undefined,
  )
})

test('reasons of rescues and slices are not held', async () => {
  const asked = { ...sampleDecision(1), requests: [{ id: 'r', reason: 'what a person wrote' }] }
  const store = await storeWith(await encodeHold(head(), { ...held, decision: asked }))
  const read = await readHold(store, key, 'default')
  expect(read?.held.decision.requests).toEqual([{ id: 'r', reason: '' }])
  expect(read?.held.decision).not.toHaveProperty('slices')
})

test('a hold has so many bytes, and not one more', async () => {
  const line = (length: number) => [{ ref: 'r', bytes: Buffer.alloc(length) }]
  const bytesOf = async (bytesMax: number, length: number) =>
    encodeHold(head(), { decision, spans: [], bodies: line(length) }, bytesMax)
  const whole = Buffer.byteLength(
    `${JSON.stringify({ decision })}\n${JSON.stringify({ ref: 'r', text: 'AAAA' })}\n`,
  )
  expect((await bytesOf(whole, 3)).length).toBeGreaterThan(0)
  await expect(bytesOf(whole - 1, 3)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  expect(holdBytesMax).toBe(64 * 1024 * 1024)
})

test('a first line has so many bytes, and not one more', async () => {
  const rest = (await encodeHold(head({ reason: '' }), held)).indexOf(10) + 1
  const most = await encodeHold(head({ reason: 'x'.repeat(holdHeadBytesMax - rest) }), held)
  const store = await storeWith(most)
  expect((await readHoldHead(store, key, 'default'))?.reason.length).toBe(holdHeadBytesMax - rest)
  const reason = 'x'.repeat(holdHeadBytesMax - rest + 1)
  await expect(encodeHold(head({ reason }), held)).rejects.toMatchObject({
    code: 'PAYLOAD_TOO_LARGE',
  })
})

test('what is damaged, newer, none or another tenant’s is refused by name', async () => {
  const good = await encodeHold(head(), held)
  const flipped = Uint8Array.from(good, (byte, at) => (at === good.length - 9 ? byte ^ 1 : byte))
  const newer = Buffer.from(
    Buffer.from(good).toString('latin1').replace('"v":1', '"v":2'),
    'latin1',
  )
  const cases = [
    [flipped, 'its digest is another'],
    [good.subarray(0, good.length - 1), 'its digest is another'],
    [newer, 'upgrade'],
    [Buffer.from('no hold'), 'no first line'],
    [Buffer.from('no hold\n'), 'cannot be read'],
    [Buffer.from('{}\n'), 'it is no hold'],
    [await encodeHold(head({ tenant: 'beta' }), held), 'of another tenant'],
  ] as const
  for (const [bytes, says] of cases) {
    const read = readHold(await storeWith(bytes), key, 'default')
    await expect(read, says).rejects.toMatchObject({
      code: 'DATA_CORRUPT',
      message: expect.stringContaining(says),
    })
    await expect(read).rejects.toMatchObject({ message: expect.stringContaining(key) })
  }
})

test('a name says trace and end, and no other is one', async () => {
  expect(key).toMatch(/^holds\/[0-9a-f]{32}\/[0-9a-f]{32}-20270131T235959Z-5c1e09b2f3a47d68\.hold$/)
  expect(parseHoldKey(key)).toEqual(name)
  const others = [
    key.replace('holds/', 'held/'),
    key.replace('.hold', '.json'),
    key.replace('20270131', '20271331'),
    `${key}.hold`,
  ]
  for (const other of others) expect(parseHoldKey(other), other).toBe(undefined)
  expect(() => holdKey('default', { ...name, id: 'short' })).toThrow('does not fit')
})

test('holds are listed of all tenants, of one whatever it is called, and of one trace', async () => {
  const store = await storeWith(Buffer.from('x'))
  const other = { ...name, traceId: sampleTraceId(2) }
  await store.create(holdKey('default', other), Buffer.from('x'))
  await store.create(holdKey('Äcme/../ 1', name), Buffer.from('x'))
  await store.create('holds/notes.txt', Buffer.from('x'))
  const count = async (...of: [tenant?: string, traceId?: string]) =>
    (await Array.fromAsync(listHolds(store, ...of))).length
  expect([await count(), await count('default'), await count('default', traceId)]).toEqual([
    3, 2, 1,
  ])
  expect([await count('Äcme/../ 1'), await count('beta')]).toEqual([1, 0])
})

test('a held trace is found by an attribute of a span, in the clear or as cold’s token', async () => {
  const row = sampleSpanRow(traceId, 0, { attributes: '{"user.id":{"stringValue":"u_1"}}' })
  const bytes = await encodeHold(head(), { ...held, spans: [row] })
  const store = await storeWith(bytes)
  const find = (field: string, value: string) =>
    findInHold(store, key, 'default', field, text => text === value)
  expect(await find('user.id', 'u_1')).toEqual(new Set([traceId]))
  expect(await find('user.id', 'u_2')).toEqual(new Set())
  expect(await find('user.name', 'u_1')).toEqual(new Set())
})
