import { expect, test } from 'vitest'
import { z } from 'zod'
import { addressKey, bytesKey, durationKey, readConfig, variableOf } from './config.ts'

const schema = z.strictObject({
  listen: addressKey('127.0.0.1:4317'),
  assembler: z
    .strictObject({ openMax: durationKey('2min'), maxBytes: bytesKey('16MiB') })
    .prefault({}),
})
const keys = ['listen', 'assembler.openMax', 'assembler.maxBytes']

test('an empty file means every default', () => {
  expect(readConfig(schema, { keys })).toEqual({
    listen: { host: '127.0.0.1', port: 4317 },
    assembler: { openMax: 120_000, maxBytes: 16 * 1024 * 1024 },
  })
})

test('a variable overrides the file', () => {
  const text = 'assembler: { openMax: 1min }'
  const env = { WINNOW_ASSEMBLER_OPEN_MAX: '3s', PATH: '/bin' }
  expect(readConfig(schema, { keys, text, env }).assembler.openMax).toBe(3000)
})

test('a variable with _FILE reads its value from a file', () => {
  const env = { WINNOW_LISTEN_FILE: 'address.txt' }
  const readFile = (path: string): string => (path === 'address.txt' ? 'localhost:1\n' : '')
  expect(readConfig(schema, { keys, env, readFile }).listen).toEqual({ host: 'localhost', port: 1 })
})

test('a key that takes text takes the variable as it stands, whatever YAML would make of it', () => {
  const texts = z.strictObject({ password: z.string(), listen: addressKey('localhost:1') })
  const read = (env: Record<string, string>) =>
    readConfig(texts, { keys: ['password', 'listen'], env, readFile: () => '0042 #1\n' })
  for (const password of ['0042', 'a #b', 'a: b', '{x', 'null', '[1]', 'yes'])
    expect(read({ WINNOW_PASSWORD: password }).password).toBe(password)
  expect(read({ WINNOW_PASSWORD_FILE: 'secret' }).password).toBe('0042 #1')
  const listen = read({ WINNOW_PASSWORD: 'x', WINNOW_LISTEN: '[::1]:4317' }).listen
  expect(listen).toEqual({ host: '::1', port: 4317 })
})

test('a key that takes something else is read as YAML, and a bad one is named without a guess', () => {
  const lists = z.strictObject({ origins: z.array(z.string()).default([]), count: z.int() })
  const listKeys = ['origins', 'count']
  const env = { WINNOW_ORIGINS: '[a, b]', WINNOW_COUNT: '3' }
  expect(readConfig(lists, { keys: listKeys, env })).toEqual({ origins: ['a', 'b'], count: 3 })
  const bad = () => readConfig(lists, { keys: listKeys, env: { ...env, WINNOW_ORIGINS: '[a' } })
  expect(bad).toThrow(/WINNOW_ORIGINS: its value is not YAML/)
})

test('all mistakes come at once, each with its key, value and remedy', () => {
  const text = 'listen: nowhere\nopenMax: 6\nassembler: { openMax: 5, maxByte: 1MiB }'
  const env = { WINNOW_QIET: '1s' }
  const read = () => readConfig(schema, { keys, text, env, source: 'winnow.yaml' })
  expect(read).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  expect(read).toThrow(/winnow\.yaml/)
  expect(read).toThrow(/listen is "nowhere": use HOST:PORT/)
  expect(read).toThrow(/assembler\.openMax is "5": use a number with a unit/)
  expect(read).toThrow(/✖ assembler\.maxByte names no key; winnow\.example\.yaml lists them$/m)
  expect(read).toThrow(/✖ openMax names no key; .*; did you mean assembler\.openMax\?$/m)
  expect(read).toThrow(/WINNOW_QIET/)
})

test('text that is no YAML mapping is refused', () => {
  expect(() => readConfig(schema, { keys, text: '- a' })).toThrow(/top level/)
  expect(() => readConfig(schema, { keys, text: 'a: [' })).toThrow(/CONFIG_INVALID/)
})

test('the variable of a key is its path in capitals', () => {
  expect(variableOf('assembler.openMax')).toBe('WINNOW_ASSEMBLER_OPEN_MAX')
})
