import { afterEach, beforeEach, expect, test } from 'vitest'
import { answer, startDetector, type TestDetector } from './detector.fixture.ts'
import { detectorUrlMistake, nameAnswerBytesMax, Presidio } from './presidio.ts'

let server: TestDetector
let presidio: Presidio
beforeEach(async () => {
  server = await startDetector(['Maria Lopez'])
  presidio = open(server.url)
})
afterEach(async () => {
  presidio.close()
  await server.close()
})

const open = (url: string): Presidio =>
  new Presidio({
    url,
    token: 'a token',
    entities: ['PERSON', 'NRP'],
    scoreMin: 0.5,
    connectionsMax: 2,
  })

const find = (texts: readonly string[], waitMs = 30_000) =>
  presidio.find({ texts, language: 'en', signal: AbortSignal.timeout(waitMs) })

test('one text is asked as a text, several as a list, over one connection that stays', async () => {
  const one = await find(['😀 Maria Lopez'])
  const span = { start: 2, end: 13, entity: 'PERSON', score: 0.85 }
  expect(one).toEqual({ kind: 'found', spans: [[span]] })
  const several = await find(['Maria Lopez', 'nobody'])
  expect(several).toEqual({ kind: 'found', spans: [[{ ...span, start: 0, end: 11 }], []] })
  expect(server.asked.map(({ text }) => text)).toEqual([
    '😀 Maria Lopez',
    ['Maria Lopez', 'nobody'],
  ])
  expect(server.asked[0]).toMatchObject({
    language: 'en',
    entities: ['PERSON', 'NRP'],
    score_threshold: 0.5,
    authorization: 'Bearer a token',
  })
  expect(server.sockets.size).toBe(1)
})

test('what nobody asked for, and what it is not sure of, is none', async () => {
  const of = (entity_type: string, score: number) => ({ entity_type, score, start: 0, end: 2 })
  server.misbehave = response =>
    answer(response, [of('PERSON', 0.5), of('PERSON', 0.49), of('URL', 1)])
  expect(await find(['ab'])).toMatchObject({ kind: 'found', spans: [[{ score: 0.5 }]] })
})

test.each([
  [500, { error: 'Maria Lopez' }, 'refused', 'status 500'],
  [302, '', 'refused', 'status 302'],
  [200, '<html>Maria Lopez', 'malformed', 'an answer that is none to /analyze'],
  [200, { found: [] }, 'malformed', 'an answer that is none to /analyze'],
] as const)(
  'status %i with %j is a failure that tells nothing of it',
  async (status, body, reason, detail) => {
    server.misbehave = response => answer(response, body, status)
    expect(await find(['Maria Lopez'])).toEqual({ kind: 'failed', reason, detail })
  },
)

test('an answer may be as large as the limit, and no byte more', async () => {
  server.misbehave = response => answer(response, '[]'.padEnd(nameAnswerBytesMax))
  expect(await find(['a'])).toEqual({ kind: 'found', spans: [[]] })
  server.misbehave = response => answer(response, '[]'.padEnd(nameAnswerBytesMax + 1))
  expect(await find(['a'])).toMatchObject({ kind: 'failed', reason: 'malformed' })
})

test('whoever hangs, before an answer or within one, is given up when the signal says so', async () => {
  server.misbehave = () => {}
  expect(await find(['a'], 50)).toMatchObject({ kind: 'failed', reason: 'late' })
  server.misbehave = response => response.writeHead(200).write('[')
  expect(await find(['a'], 50)).toMatchObject({ kind: 'failed', reason: 'late' })
  server.misbehave = undefined
  expect(await find(['a'])).toMatchObject({ kind: 'found' })
})

test('an answer that breaks off, and a detector that is not there, are failures', async () => {
  server.misbehave = response => {
    response.writeHead(200, { 'content-length': 100 }).write('[')
    setImmediate(() => response.destroy())
  }
  expect(await find(['a'])).toMatchObject({ kind: 'failed', reason: 'down' })
  await server.close()
  expect(await find(['a'])).toEqual({ kind: 'failed', reason: 'down', detail: 'ECONNREFUSED' })
})

test('a connection that the detector closed in the meantime is no failure', async () => {
  await find(['a'])
  // As a client sees one that was closed while it wrote.
  server.misbehave = response => {
    server.misbehave = undefined
    response.socket?.resetAndDestroy()
  }
  expect(await find(['b'])).toMatchObject({ kind: 'found' })
  expect(server.asked.map(({ text }) => text)).toEqual(['a', 'b', 'b'])
})

test('an address that shows texts on their way, or holds a secret, is refused', () => {
  const mistake = (url: string, isInsecure = false) => detectorUrlMistake(url, { isInsecure })
  for (const url of [
    'http://127.0.0.1:5002',
    'http://localhost:1/a',
    'http://[::1]:1',
    'https://x.y',
  ]) {
    expect(mistake(url), url).toBeUndefined()
  }
  expect(mistake('http://detector:3000')).toMatch(/plain http beyond this machine/)
  expect(mistake('http://127.0.0.1.example.com')).toMatch(/plain http/)
  expect(mistake('http://detector:3000', true)).toBeUndefined()
  expect(mistake('http://u:p@127.0.0.1')).toMatch(/privacy.names.token/)
  for (const url of ['', 'detector', 'ftp://x', 'http://127.0.0.1?a=b']) {
    expect(mistake(url, true), url).toBeDefined()
  }
  expect(() => open('detector')).toThrow(/CONFIG_INVALID/)
})
