import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Redactor } from '../redactor.ts'
import { Tokens } from '../tokens.ts'
import { identifiers } from './identifiers.fixture.ts'

const redactor = new Redactor(new Tokens([{ id: 3, bytes: Buffer.alloc(32, 7) }]))
const redacted = (text: string): string => redactor.redactText(text)
const tokenOf = (kind: string, thing: string): string => redactor.token(kind, thing)

test('an address is the same whatever marks and scripts stand beside it', () => {
  const mail = 'maria@example.com'
  const token = tokenOf('email', mail)
  for (const [front, back] of [
    ['“', '”'],
    ['«', '» or'],
    ['', '—she'],
    ['', '\u00a0x'],
    ['请联系', '谢谢你'],
    ['メール：', '。'],
    ['напиши ', '，пожалуйста'],
    ['session:', '-2'],
    ['', '-1732250000'],
    ['', '.2026'],
    ['', '…'],
    ['🙂', '🙂'],
  ] as const) {
    expect(redacted(front + mail + back)).toBe(front + token + back)
  }
  for (const whole of ['jürgen.müller@exämple.de', 'john@company.md', '王伟@例子.中国']) {
    expect(redacted(`${whole}, x`)).toBe(`${tokenOf('email', whole)}, x`)
  }
  expect(redacted('icon@2x.md chunk@ab12.js')).toBe('icon@2x.md chunk@ab12.js')
  expect(redacted('maria@example.com1')).toBe('maria@example.com1')
})

test('nothing is cut within a character: UTF-8 stays UTF-8', () => {
  const pieces = ['请', 'ü', '🙂', 'é', ' ', 'a', '.', '\u00a0']
  for (const piece of pieces) {
    for (const count of [1, 63, 86, 100, 255, 256, 300, 513]) {
      for (const text of [
        `${piece.repeat(count)}@example.com`,
        `maria@${piece.repeat(count)}.com`,
        `maria@example.${piece.repeat(count)}`,
        `password: a1${piece.repeat(count)}`,
        `https://u:${piece.repeat(count)}@h.example/x`,
        `+49 30 1234567${piece.repeat(count)}`,
      ]) {
        const bytes = Buffer.from(text)
        const out = redactor.redact(bytes, 0, bytes.length) ?? bytes
        expect(isUtf8(out), text.slice(0, 40)).toBe(true)
      }
    }
  }
})

test('a secret behind a line end is the secret, and the line end stays', () => {
  const secret = tokenOf('secret', 'Hunter22x')
  for (const gap of ['\n', '\t', '\r\n', ' ', '\n\n']) {
    for (const depth of [1, 2, 3]) {
      let text = `the password:${gap}Hunter22x`
      for (let i = 0; i < depth; i++) text = JSON.stringify({ m: text })
      let out = redacted(text)
      for (let i = 0; i < depth; i++) out = JSON.parse(out).m
      expect(out).toBe(`the password:${gap}${secret}`)
    }
  }
})

test('the mark of a private key in prose takes nothing with it, a key all of its lines', () => {
  const prose = JSON.stringify({ q: 'What does -----BEGIN PRIVATE KEY----- mean?', answer: 'rest' })
  expect(redacted(prose)).toBe(prose)
  const line = 'MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj'
  const head = '-----BEGIN RSA PRIVATE KEY-----'
  const tail = '-----END RSA PRIVATE KEY-----'
  const bodies = [
    `${head}\n${line}\n${line}\nabc=\n${tail}`,
    `${head}\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-256-CBC,00FF\r\n\r\n${line}\r\n${tail}`,
    `${head}\n${line}\n${line}\nabc`,
    `${head}${line}${tail}`,
    `${head} ${line} ${line} ${tail}`,
  ]
  for (const body of bodies) {
    expect(redacted(body)).toMatch(/^<secret:e_\w+>$/)
    const json = JSON.parse(redacted(JSON.stringify({ key: `x ${body}`, rest: 'stays' })))
    expect(json).toEqual({ key: expect.stringMatching(/^x <secret:e_\w+>$/), rest: 'stays' })
  }
  expect(redacted(`${head}\n${line}\nThis was a key.`)).toMatch(
    /^<secret:e_\w+>\nThis was a key\.$/,
  )
})

test('headers that carry keys are found', () => {
  for (const text of [
    'x-api-key: abcdef1234567',
    'api-key: abcdef1234567',
    'Bearer: abcdef1234567',
    'Authorization: Basic dXNlcjpwYXNz',
  ]) {
    expect(redacted(text)).toMatch(/: (?:Basic )?<secret:e_\w+>$/)
  }
  const prose = 'Basic understanding of it, Basic:  responsibilities'
  expect(redacted(prose)).toBe(prose)
})

test('escapes within escapes are resolved: slashes of JSON, and those of base64 and in it', () => {
  const dsn = String.raw`{"dsn":"postgres:\/\/app:hunter2@db:5432\/x"}`
  expect(JSON.parse(redacted(dsn)).dsn).toMatch(/^postgres:\/\/<url_credentials:\w+>@db:5432\/x$/)
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const read = (text: string): string => Buffer.from(text, 'base64').toString()
  const token = tokenOf('email', 'maria@example.com')
  expect(read(redacted(base64(String.raw`{"a":"maria\u0040example.com"}`)))).toBe(
    `{"a":"${token}"}`,
  )
  expect(read(redacted(base64('x=maria%40example.com&y=1')))).toBe(`x=${token}&y=1`)
  const mixed = base64('>>>??? maria@example.com ~~~')
  expect(mixed).toMatch(/[+/]/)
  const inUrl = redacted(`x=${encodeURIComponent(mixed)}&y=1`)
  expect(read(decodeURIComponent(inUrl.slice(2, -4)))).toBe(`>>>??? ${token} ~~~`)
  const inJson = redacted(`{"b":"${mixed.replaceAll('/', '\\/')}"}`)
  expect(read(JSON.parse(inJson).b)).toBe(`>>>??? ${token} ~~~`)
  const behind = redacted(JSON.stringify({ b: `\n${base64('write to maria@example.com')}` }))
  expect(read(JSON.parse(behind).b.slice(1))).toBe(`write to ${token}`)
})

const said = fc.constantFrom(...identifiers.map(([, text, words = text]) => words))
const marks = fc.constantFrom(
  ...['\n', '\t', '\\', '\\n', '"', '\\"', ' ', '', '请', '”', '\u00a0', '-', ',', ':', '/', '\\u'],
)
const hardText = fc
  .array(fc.oneof(said, marks, fc.string({ maxLength: 6, unit: 'binary' })), { maxLength: 6 })
  .map(parts => parts.join(''))

test('a number of a JSON text becomes a string of it, however deep, and in prose the token is bare', () => {
  const phone = tokenOf('phone', '4155552671')
  const card = tokenOf('card', '4111111111111111')
  const cases: readonly (readonly [given: string, out: string])[] = [
    ['{"phone":4155552671}', `{"phone":"${phone}"}`],
    ['{"phone": -4155552671 , "n":1}', `{"phone": "${phone}" , "n":1}`],
    ['{"order":4111111111111111,"n":1}', `{"order":"${card}","n":1}`],
    ['[1, 4111111111111111]', `[1, "${card}"]`],
    ['{"m":"[4111111111111111]"}', `{"m":"[\\"${card}\\"]"}`],
    ['{"m":"Hello, 4111111111111111, bye"}', `{"m":"Hello, ${card}, bye"}`],
    ['{"m":"the \\"card\\":4111111111111111, ok"}', `{"m":"the \\"card\\":${card}, ok"}`],
    ['{"m":": 4111111111111111, x"}', `{"m":": ${card}, x"}`],
    ['{"m":"\\\\","n":4111111111111111}', `{"m":"\\\\","n":"${card}"}`],
    ['cards: 4111111111111111, and', `cards: ${card}, and`],
    ['4111111111111111', card],
  ]
  for (const [given, out] of cases) expect(redacted(given)).toBe(out)
  for (const field of ['calls', 'phone_calls_total', 'mobile_app_build']) {
    let text = JSON.stringify(
      { [field]: { mobile: 20_261_122, list: [20_261_122, 4111111111111111] } },
      null,
      1,
    )
    for (let depth = 0; depth < 5; depth++) {
      let out = redacted(text)
      expect(out).not.toContain('4111111111111111')
      for (let i = 0; i < depth; i++) out = JSON.parse(out).m
      expect(shapeOf(JSON.parse(out))).toEqual({ [field]: { mobile: 0, list: [0, 0] } })
      text = JSON.stringify({ m: text })
    }
  }
})

/** Strings and numbers may change, and a number may become a string; nothing else may. */
function shapeOf(value: unknown): unknown {
  if (typeof value === 'number') return 0
  if (typeof value === 'string') return jsonIn(value) === undefined ? 0 : [shapeOf(jsonIn(value))]
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, shapeOf(one)]))
}

function jsonIn(value: string): unknown {
  if (!/^\s*[[{]/.test(value)) return undefined
  try {
    return JSON.parse(value)
  } catch {
    return undefined
  }
}

test('valid UTF-8 stays valid UTF-8', () => {
  fc.assert(
    fc.property(hardText, one => {
      const bytes = Buffer.from(one)
      const out = redactor.redact(bytes, 0, bytes.length) ?? bytes
      expect(isUtf8(out)).toBe(true)
    }),
    { numRuns: 1_500 },
  )
})

const numbers = fc.constantFrom(
  4155552671,
  4111111111111111,
  -4155552671,
  378282246310005,
  20261122,
  219099999,
  1.5e300,
  0.4111111111111111,
)
const fieldName = fc.constantFrom(
  'phone',
  'tel',
  'call me',
  'ssn',
  'a',
  'password',
  'api_key',
  '请',
  'x\n',
)
const { json } = fc.letrec<{ json: unknown }>(tie => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    hardText,
    numbers,
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fieldName, tie('json'), { maxKeys: 4 }),
    // JSON in a string of it.
    tie('json').map(inner => JSON.stringify(inner)),
  ),
}))
const jsonText = fc
  .tuple(fc.oneof(fc.array(json, { maxLength: 4 }), fc.dictionary(fieldName, json)), fc.nat(2))
  .map(([value, indent]) => JSON.stringify(value, null, indent))

test('JSON stays JSON of the same shape, and that in its strings too', () => {
  fc.assert(
    fc.property(jsonText, one => {
      const out = redacted(one)
      expect(shapeOf(JSON.parse(out))).toEqual(shapeOf(JSON.parse(one)))
    }),
    { numRuns: 2_000 },
  )
})

test('redacting twice is redacting once, of any text', () => {
  fc.assert(
    fc.property(fc.oneof(hardText, jsonText), one => {
      const once = redacted(one)
      expect(redacted(once)).toBe(once)
    }),
    { numRuns: 2_000 },
  )
})
