import { expect, test } from 'vitest'
import { Redactor } from '../redactor.ts'
import { Tokens } from '../tokens.ts'

const redactor = new Redactor(new Tokens([{ id: 3, bytes: Buffer.alloc(32, 7) }]))

/** CPU of this thread, of the quickest of some tries: what others do on the machine is not counted. */
function cpuOf(bytes: Buffer, tries: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < tries; i++) {
    const from = process.threadCpuUsage()
    redactor.redact(bytes, 0, bytes.length)
    const { user, system } = process.threadCpuUsage(from)
    least = Math.min(least, user + system)
  }
  return least
}

const repeated = (piece: string, size: number): Buffer =>
  Buffer.from(piece.repeat(Math.ceil(size / piece.length)).slice(0, size))

test('1 MB of any hostile piece costs no more than a few times what four quarters of it do', () => {
  const pieces = [
    '\\',
    '\\\\\\"',
    '\\\\n',
    '\\/',
    'eyJa-',
    'eyJ',
    'eyJabcdefghijk.',
    '-----BEGIN PRIVATE KEY-----',
    '-----BEGIN PRIVATE KEY-----\\n',
    'maria@example.com TWFyaWEgYW5kIGhlciBmcmllbmRz ',
    '请',
    '@a.b-',
    'a@b.',
  ]
  const whole = 1_048_576
  for (const piece of pieces) {
    const quarter = repeated(piece, whole / 4)
    cpuOf(repeated(piece, 20_000), 2)
    const base = Math.max(2_000, cpuOf(quarter, 2))
    expect(cpuOf(repeated(piece, whole), 2), JSON.stringify(piece)).toBeLessThan(base * 10)
  }
  const tail = Buffer.from(`${'\\'.repeat(whole)}u0041`)
  const base = Math.max(2_000, cpuOf(Buffer.from(`${'\\'.repeat(whole / 4)}u0041`), 2))
  expect(cpuOf(tail, 2)).toBeLessThan(base * 10)
}, 120_000)

test('many headers of web tokens in a row cost little more than as much of anything else', () => {
  const plain = cpuOf(repeated('abcd-', 400_000), 3)
  expect(cpuOf(repeated('eyJa-', 400_000), 2)).toBeLessThan(Math.max(2_000, plain) * 20)
}, 120_000)
