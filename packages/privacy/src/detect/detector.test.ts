import { expect, test } from 'vitest'
import { Redactor } from '../redactor.ts'
import { Tokens } from '../tokens.ts'
import { base64CharsMin } from './base64.ts'
import { cleanMessages } from './clean-messages.fixture.ts'
import { identifiers } from './identifiers.fixture.ts'
import { Pattern } from './pattern.ts'

const tokens = new Tokens([{ id: 3, bytes: Buffer.alloc(32, 7) }])
const redactor = new Redactor(tokens)
const token = /<([a-z_]+):e_3[0-9a-f]{11}>/g
const kindsIn = (text: string): string[] =>
  [...redactor.redactText(text).matchAll(token)].map(([, kind]) => kind ?? '')

test('every identifier of the list is found whole, in prose, in JSON and alone', () => {
  for (const [kind, text, said = text] of identifiers) {
    const places = [
      said,
      `Please note ${said}, and answer soon.`,
      JSON.stringify({ turn: 1, note: `first line\n${said}\tlast` }),
      JSON.stringify({ inner: JSON.stringify({ note: said }) }),
    ]
    for (const place of places) {
      const redacted = redactor.redactText(place)
      expect(kindsIn(place), `${kind}: ${place}`).toContain(kind)
      expect(redacted, place).not.toContain(text)
    }
  }
})

test('what is written in another way is the same thing, and has the same token', () => {
  const same = [
    ['Maria.Lopez@Example.com', 'maria.lopez@example.com', 'maria.lopez\\u0040example.com'],
    ['maria.lopez%40example.com', 'maria.lopez%2540example.com', 'maria.lopez\\\\u0040example.com'],
    ['4111 1111 1111 1111', '4111-1111-1111-1111', '4111111111111111'],
    ['+49 30 1234567', '+49 (30) 123-4567', '0049 30 1234567'],
    ['GB82 WEST 1234 5698 7654 32', 'GB82WEST12345698765432'],
  ]
  for (const forms of same) {
    const made = new Set(forms.map(form => redactor.redactText(form)))
    expect([...made], forms.join()).toEqual([expect.stringMatching(/^<[a-z_]+:e_3[0-9a-f]{11}>$/)])
  }
})

test('escapes of a string stay what they were around a token', () => {
  const text = JSON.stringify({ note: 'a\nmaria@example.com\t"x"\\' })
  expect(JSON.parse(redactor.redactText(text)).note).toMatch(/^a\n<email:e_\w+>\t"x"\\$/)
})

test('what is sought is found wherever in memory it lies, and whatever surrounds it', () => {
  const shortest = Buffer.from('al@exams.com').toString('base64')
  expect(shortest).toHaveLength(base64CharsMin)
  const longer = Buffer.from('maria@example.com').toString('base64url')
  const memory = Buffer.alloc(128, 0x40)
  for (const sought of ['a@b.co', '10.20.30.40', shortest, longer]) {
    for (const offset of [0, 1, 2, 3, 4, 5, 6, 7]) {
      for (let before = 0; before < 20; before++) {
        // Behind a word so long that it is looked at for what it may hold.
        const front = 'x '.repeat(10).slice(20 - before) + (before % 2 === 0 ? 'somewhere ' : '')
        for (const after of [0, 1, 2, 3, 9]) {
          const text = front + sought + ' '.repeat(after)
          const end = offset + memory.fill('@').write(text, offset, 'latin1')
          const found = redactor.redact(memory.subarray(offset), 0, end - offset)
          expect(found, `${JSON.stringify(text)} at ${offset}`).toBeDefined()
        }
      }
    }
  }
})

test('base64 that holds text is looked into, and stays base64', () => {
  const inner = 'write to maria@example.com, card 4111 1111 1111 1111'
  for (const encoding of ['base64', 'base64url'] as const) {
    const once = Buffer.from(inner).toString(encoding)
    const twice = Buffer.from(`{"body":"${once}"}`).toString(encoding)
    const read = (text: string): string => Buffer.from(text, encoding).toString()
    const redacted = redactor.redactText(`data:text/plain;base64,${once} end`)
    const part = /base64,(\S+) end/.exec(redacted)?.[1] ?? ''
    expect(read(part)).toMatch(/^write to <email:\w+>, card <card:\w+>$/)
    const body = JSON.parse(read(redactor.redactText(twice))).body
    expect(read(body)).toMatch(/^write to <email:\w+>, card <card:\w+>$/)
    expect(redactor.redactText(`/api/v1/${once}/tail`)).not.toContain(once)
  }
})

test('what looks like an identifier and is none stays', () => {
  const clean = [
    '4111 1111 1111 1112 fails its check',
    'GB82 WEST 1234 5698 7654 33',
    'version 10.4.2.1, section 3.2.1.4, 127.0.0.1, 0.0.0.0, 255.255.255.0',
    '2026-11-22T03:34:37.123Z 22.11.2026 1716370863123 1716370863123456789 20261122033437',
    '550e8400-e29b-41d4-a716-446655440000 4bf92f3577b34da6a3ce929d0e0e4736',
    '@scope/package@1.2.3 git@github.com:a/b.git icon@2x.png @app.route("/x") std::vector a::b',
    'claude-3-5-sonnet-20241022 gpt-4o-2024-08-06 task-sk-1 risk_live_data ask-me_later',
    'password: required; secret = process.env.SECRET_1; token: 42; primary_key: user_id_2024',
    'Basic understanding of bearer bonds in 2024',
    '[0.12345678901234, 12345678.9, 1,234,567.89, 3.14159265358979]',
    'sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
    'Chrome/120.0.6099.1 Edg/1.2.3.4 (winnow/1.0.2.3) "sdk/9.8.7.6" Chrome 120.0.0.0',
    '"version":"1.2.3.4" AssemblyVersion("1.2.3.4") \\"version\\": \\"1.2.3.4\\"',
    'OpenSSL 3.0.1.2, built with glibc-2.38.0.1; JDK 17.0.9.8 (Python 3.12.1.0)',
    'AB123456C is a part, 12 345 678 903 are units',
    'ORD-4111111111111111 SKU-123-456-7890 order 4481',
  ]
  for (const text of clean) expect(redactor.redactText(text)).toBe(text)
})

test('an address stays one where a path or a host stands in front of it', () => {
  for (const text of [
    'https://example.com/203.0.113.7/x',
    'http://203.0.113.7/',
    '/hosts/203.0.113.7',
    'example.com/203.0.113.7',
    'tcp/203.0.113.7',
    'from 10.1.2.3, port 80',
    'OpenSSL 203.0.113.7',
    'not-openssl 3.0.1.2',
    'Chrome 3.0.1.2',
  ]) {
    expect(kindsIn(text), text).toEqual(['ip'])
  }
})

test('numbers without a certain shape are ids behind their name', () => {
  for (const text of ['NINO: AB123456C', 'National Insurance AB123456C', 'Tax ID 86 095 742 719']) {
    expect(kindsIn(text), text).toEqual(['national_id'])
  }
})

test('an embedding as text is passed without a look at what stands around each number', () => {
  const numbers = Array.from({ length: 4_000 }, (_, i) => (Math.sin(i) * 0.1).toFixed(16))
  const cpuOf = (text: string): number => {
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < 5; i++) {
      const from = process.threadCpuUsage()
      redactor.redactText(text)
      const { user, system } = process.threadCpuUsage(from)
      least = Math.min(least, user + system)
    }
    return least
  }
  // The same with blanks, which may part the groups of a number, is looked at.
  const looked = cpuOf(numbers.join(' '))
  expect(cpuOf(`[${numbers.join(', ')}]`)).toBeLessThan(looked * 0.85)
})

test('precision: of 2,000 clean messages of agents at least 99.5 % stay as they are (seed 20261122)', () => {
  const messages = cleanMessages(2_000, 20_261_122)
  const changed = messages.filter(text => redactor.redactText(text) !== text)
  expect(changed.length / messages.length, changed.slice(0, 5).join('\n')).toBeLessThanOrEqual(
    0.005,
  )
})

test('redacting twice is redacting once (seed 7)', () => {
  const messages = cleanMessages(500, 7)
  for (const [index, message] of messages.entries()) {
    const some = [0, 7, 13].map(step => identifiers[(index * 3 + step) % identifiers.length])
    const text = `${message} ${some.map(one => one?.[2] ?? one?.[1]).join(index % 2 === 0 ? ' ' : ', ')}`
    const once = redactor.redactText(text)
    expect(once).not.toBe(text)
    expect(redactor.redactText(once)).toBe(once)
  }
})

test('a token of any kind and key is left alone, also with digits only', () => {
  for (const text of [
    '<email:e_481209883311>',
    'a<order_no:e_f41111111111>b',
    '<phone:e_4f81a09c2b17>,<unscanned>',
  ]) {
    expect(redactor.redactText(text)).toBe(text)
  }
})

test('kinds that are not sought stay', () => {
  const mails = new Redactor(tokens, { kinds: ['email'] })
  const text = mails.redactText('a@b.com 4111 1111 1111 1111 10.1.2.3 AKIAIOSFODNN7EXAMPLE')
  expect(text).toMatch(/^<email:\w+> 4111 1111 1111 1111 10\.1\.2\.3 AKIAIOSFODNN7EXAMPLE$/)
})

test('configured patterns are found as whole words, and what is none says so', () => {
  const orders = new Redactor(tokens, {
    patterns: [new Pattern('order', 'ORD-#{6,8}'), new Pattern('ticket', '@{2}##\\#*')],
  })
  expect(orders.redactText('ORD-123456, ORD-12345, XORD-123456, ORD-123456789')).toMatch(
    /^<order:e_\w+>, ORD-12345, XORD-123456, ORD-123456789$/,
  )
  expect(orders.redactText('see AB12#7 and ABC12#7')).toMatch(/^see <ticket:e_\w+> and ABC12#7$/)
  const wrong: readonly [string, RegExp][] = [
    ['', /one text alone/],
    ['ORD', /one text alone/],
    ['#{0}', /give 1 to 64/],
    ['#{5,2}', /lesser first/],
    ['#{65}', /give 1 to 64/],
    ['#{x}', /is no pattern/],
    ['#'.repeat(101), /over 100/],
  ]
  for (const [pattern, says] of wrong) expect(() => new Pattern('order', pattern)).toThrow(says)
  expect(() => new Pattern('order', '#{64}')).not.toThrow()
  expect(() => new Pattern('order', '#'.repeat(100))).not.toThrow()
})

test('long hostile strings take linear time', () => {
  const hostile = [
    '@',
    'a@',
    '1 ',
    '://',
    'x:',
    '-----',
    '\\u00',
    '%4',
    'A1',
    'sk-',
    '<a',
    'eyJ',
    '+1(',
  ]
  for (const piece of hostile) {
    const short = piece.repeat(10_000 / piece.length)
    const long = piece.repeat(100_000 / piece.length)
    redactor.redactText(short)
    const timeOf = (text: string): number => {
      const from = process.threadCpuUsage()
      redactor.redactText(text)
      const { user, system } = process.threadCpuUsage(from)
      return user + system
    }
    const base = Math.max(20_000, ...[1, 2, 3].map(() => timeOf(short)))
    expect(timeOf(long), piece).toBeLessThan(base * 100)
  }
})
