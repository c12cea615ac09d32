import { expect, onTestFinished, test } from 'vitest'
import { Redactor } from '../redactor.ts'
import { Tokens } from '../tokens.ts'
import { answer, startDetector, type TestDetector } from './detector.fixture.ts'
import { literalsMax } from './json-texts.ts'
import { Names, type NamesOptions } from './names.ts'
import { redactNamesInJson } from './names-in-json.ts'
import { Presidio } from './presidio.ts'

const tokens = new Tokens([{ id: 3, bytes: Buffer.alloc(32, 7) }])
const redactor = new Redactor(tokens)
const maria = tokens.token('person', 'maria lopez')
const limits: NamesOptions['limits'] = {
  waitMaxMs: 30_000,
  batchBytesMax: 1_000,
  batchTextsMax: 3,
  textBytesMax: 200,
  textsMax: 10,
  failuresMax: 2,
  pauseMs: 1_000,
  slotsMax: 2,
  slotsPerOwnerMax: 1,
  waitingPerOwnerMax: 5,
}

async function started(own: Partial<NamesOptions['limits']> = {}) {
  const server = await startDetector(['Maria Lopez', 'José Núñez'])
  const unscanned = new Map<string, number>()
  const clock = { nowMs: 0 }
  const names = new Names({
    detector: new Presidio({
      url: server.url,
      entities: ['PERSON'],
      scoreMin: 0.5,
      connectionsMax: 8,
    }),
    languageOf: tenant => (tenant === 'off' ? undefined : tenant === 'team-de' ? 'de' : 'en'),
    limits: { ...limits, ...own },
    onUnscanned: (tenant, reason, count) => {
      const key = `${tenant} ${reason}`
      unscanned.set(key, (unscanned.get(key) ?? 0) + count)
    },
    nowMs: () => clock.nowMs,
  })
  onTestFinished(async () => {
    names.close()
    await server.close()
  })
  return { server, names, unscanned, clock }
}

async function redacted(
  { names }: { readonly names: Names },
  values: readonly string[],
  tenant = 'default',
): Promise<string[]> {
  const own = names.of(tenant)
  if (own === undefined) throw new Error('no names are sought')
  const search = own.begin(redactor, () => {})
  for (const value of values) search.add(value)
  await search.ask()
  const out = values.map(value => search.redacted(value) ?? value)
  own.end(search)
  return out
}

const textsOf = (server: TestDetector): number => server.asked.flatMap(({ text }) => text).length

test('names become tokens, of JSON in its strings, in the language of the tenant', async () => {
  const it = await started()
  const json = JSON.stringify([{ role: 'user', text: 'I am José Núñez\n"ok"' }])
  const escaped = json.replaceAll(
    /[^\x20-\x7e]/g,
    one => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const [plain, first, second] = await redacted(it, ['ask Maria Lopez', json, escaped])
  expect(plain).toBe(`ask ${maria}`)
  expect(JSON.parse(first ?? '')).toEqual([
    { role: 'user', text: `I am ${tokens.token('person', 'josé núñez')}\n"ok"` },
  ])
  expect(JSON.parse(second ?? '')).toEqual(JSON.parse(first ?? ''))
  expect(it.server.asked[0]?.language).toBe('en')
  await redacted(it, ['Wer ist das?'], 'team-de')
  expect(it.server.asked.at(-1)?.language).toBe('de')
  expect(it.names.of('off')).toBeUndefined()
  expect(it.unscanned.size).toBe(0)
})

test('a half of a surrogate pair in JSON is no reason to fail', async () => {
  const it = await started()
  const [text] = await redacted(it, ['{"a":"\\ud83d \\ude00\\ud83d\\ude00 Maria Lopez"}'])
  expect(JSON.parse(text ?? '')).toEqual({ a: `\ud83d \ude00😀 ${maria}` })
})

test('words of programs, numbers and tokens are not asked about; the same text once, and a clean one once for all', async () => {
  const it = await started()
  const values = ['user', 'tool_call', '2026-01-01', '12 %', maria, `${maria}, ${maria}`, '']
  expect(await redacted(it, values)).toEqual(values)
  expect(it.server.asked).toEqual([])
  await redacted(it, ['Refund', 'Refund', '{"a":"Refund"}'])
  await redacted(it, ['Refund'])
  await redacted(it, ['Refund'], 'another')
  expect(textsOf(it.server)).toBe(1)
  const prompt = 'You are an assistant. '.repeat(5)
  for (let n = 0; n < 3; n++) expect(await redacted(it, [prompt])).toEqual([prompt])
  expect(textsOf(it.server)).toBe(2)
  for (let n = 0; n < 2; n++) await redacted(it, [`${prompt}Maria Lopez`])
  expect(textsOf(it.server)).toBe(4)
})

test('a value of more strings than are looked at is left out whole, and nobody is asked for it', async () => {
  const it = await started()
  const value = `["Maria Lopez"${',""'.repeat(literalsMax)}]`
  expect(await redacted(it, [value, 'ask Maria Lopez'])).toEqual(['<unscanned>', `ask ${maria}`])
  expect(it.server.asked.map(({ text }) => text)).toEqual(['ask Maria Lopez'])
  expect(await redacted(it, [value])).toEqual(['<unscanned>'])
  expect([...it.unscanned]).toEqual([['default too_large', 2]])
})

test('a call has as many texts and bytes as its limits, and no more; a larger text goes alone', async () => {
  const it = await started({ batchBytesMax: 40, batchTextsMax: 3 })
  await redacted(it, ['A a', 'B b', 'C c', 'D d'])
  expect(it.server.asked.map(({ text }) => text)).toEqual([['A a', 'B b', 'C c'], 'D d'])
  it.server.asked.length = 0
  // 15 bytes and their quotes and comma are 18; two are 36.
  await redacted(it, ['E'.repeat(15), 'F'.repeat(15), 'G', 'H'.repeat(60)])
  expect(it.server.asked.map(({ text }) => [text].flat().length)).toEqual([3, 1])
  it.server.asked.length = 0
  await redacted(it, ['I'.repeat(17), 'J'.repeat(17)])
  expect(it.server.asked.map(({ text }) => [text].flat().length)).toEqual([2])
  it.server.asked.length = 0
  await redacted(it, ['K'.repeat(17), 'L'.repeat(18)])
  expect(it.server.asked.map(({ text }) => [text].flat().length)).toEqual([1, 1])
})

test('a text over textBytesMax, and texts past textsMax, are not looked at and not passed', async () => {
  const it = await started({ textsMax: 3 })
  const most = 'Ä'.repeat(100)
  expect(await redacted(it, [most, `${most}x`])).toEqual([most, '<unscanned>'])
  expect(it.unscanned).toEqual(new Map([['default too_large', 1]]))
  const values = ['M 1', 'M 2', 'M 3', 'Maria Lopez', 'M 1']
  expect(await redacted(it, values, 'b')).toEqual(['M 1', 'M 2', 'M 3', '<unscanned>', 'M 1'])
  expect(it.unscanned.get('b too_many')).toBe(1)
})

test('of one tenant so many calls wait and no more', async () => {
  const it = await started({ waitingPerOwnerMax: 1, batchTextsMax: 1 })
  const out = await redacted(it, ['One', 'Two', 'Maria Lopez'])
  expect(out).toEqual(['One', 'Two', '<unscanned>'])
  expect(it.unscanned).toEqual(new Map([['default too_many', 1]]))
})

test('what was not answered in time is <unscanned>, what was is not', async () => {
  const it = await started({ waitMaxMs: 3_000, batchTextsMax: 1, slotsMax: 4, slotsPerOwnerMax: 4 })
  it.server.misbehave = (response, { text }) => {
    if (text === 'Now') answer(response, [])
  }
  expect(await redacted(it, ['Now', 'Maria Lopez'])).toEqual(['Now', '<unscanned>'])
  expect(it.unscanned).toEqual(new Map([['default late', 1]]))
})

test.each([
  ['refused', 500, { error: 'Maria Lopez' }],
  ['malformed', 200, 'Maria Lopez'],
  ['malformed', 200, [{ entity_type: 'PERSON', start: 0, end: 12, score: 1 }]],
] as const)('an answer that is %s (%i %j) passes nothing', async (reason, status, body) => {
  const it = await started()
  it.server.misbehave = response => answer(response, body, status)
  const json = '{"a":"Maria Lopez","n":1}'
  expect(await redacted(it, ['Maria Lopez', json])).toEqual([
    '<unscanned>',
    '{"a":"<unscanned>","n":1}',
  ])
  expect(it.unscanned).toEqual(new Map([[`default ${reason}`, 2]]))
})

test('a detector that fails is left alone for a while, by the tenant whose texts it failed on', async () => {
  const it = await started()
  it.server.misbehave = response => answer(response, '', 503)
  for (const text of ['First', 'Second', 'Third']) await redacted(it, [text])
  expect(it.server.asked).toHaveLength(2)
  expect(it.unscanned).toEqual(
    new Map([
      ['default refused', 2],
      ['default down', 1],
    ]),
  )
  expect(it.names.health()).toMatchObject({
    ready: true,
    detail: expect.stringContaining('status 503'),
  })
  it.server.misbehave = undefined
  expect(await redacted(it, ['Maria Lopez'], 'another')).toEqual([maria])
  expect(await redacted(it, ['Maria Lopez'])).toEqual(['<unscanned>'])
  it.clock.nowMs = limits.pauseMs
  expect(await redacted(it, ['Maria Lopez'])).toEqual([maria])
  expect(it.names.health()).toEqual({ ready: true })
})

test('in JSON of outcomes what people write is looked at, and prose; names of fields stay', async () => {
  const it = await started()
  const own = it.names.of('default')
  if (own === undefined) throw new Error('no names are sought')
  const prose = `one two three four five six seven eight nine ten eleven twelve Maria Lopez`
  const value = [
    {
      name: 'Csat',
      score: 2,
      comment: 'Maria Lopez',
      label: 'Maria Lopez',
      note: { x: 'Maria Lopez' },
    },
    { source: prose },
  ]
  const found: string[] = []
  expect(await redactNamesInJson(own, redactor, value, kind => found.push(kind))).toEqual([
    { name: 'Csat', score: 2, comment: maria, label: 'Maria Lopez', note: { x: maria } },
    { source: prose.replace('Maria Lopez', maria) },
  ])
  expect(found).toEqual(['person', 'person', 'person'])
  const clean = { name: 'Csat', score: 2 }
  expect(await redactNamesInJson(own, redactor, clean)).toBe(clean)
})
