import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hashOfKey } from './api-keys.ts'
import { ManualClock } from './clock.ts'
import { KeyRing, keysFileBytesMax } from './key-ring.ts'
import { createLog } from './log.ts'
import { Metrics } from './metrics.ts'

function ringOf(text: string, keys?: Parameters<typeof KeyRing.open>[0]['keys']) {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-keys-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const keysFile = join(folder, 'keys.yaml')
  writeFileSync(keysFile, text)
  const lines: string[] = []
  const metrics = new Metrics()
  const log = createLog(new ManualClock(), line => lines.push(line))
  const ring = KeyRing.open({ ...(keys && { keys }), keysFile, log, metrics })
  if (ring === undefined) throw new Error('there is a file')
  onTestFinished(() => ring.close())
  return { ring, keysFile, lines, metrics }
}

const fileOf = (...keys: readonly string[]) =>
  `v: 1\nkeys:\n${keys.map(key => `  ${hashOfKey(key)}: team-of-${key}\n`).join('')}`

test('a key that is added to the file opens, one that is taken out does not, without a restart', async () => {
  const { ring, keysFile, metrics } = ringOf(fileOf('old'))
  expect(ring.get(hashOfKey('old'))?.tenant).toBe('team-of-old')
  writeFileSync(`${keysFile}.new`, fileOf('new'))
  renameSync(`${keysFile}.new`, keysFile)
  await ring.poll()
  expect(ring.get(hashOfKey('old'))).toBeUndefined()
  expect(ring.get(hashOfKey('new'))?.tenant).toBe('team-of-new')
  expect(await metrics.text()).toContain('winnow_reloads_total{what="keys",result="applied"} 1')
})

test('a file that is spoilt or gone leaves the last good keys in force, and it is said without what stands there', async () => {
  const { ring, keysFile, lines, metrics } = ringOf(fileOf('good'))
  writeFileSync(keysFile, 'v: 1\nkeys:\n  my-secret-key: team-a\n')
  await ring.poll()
  expect(ring.get(hashOfKey('good'))?.tenant).toBe('team-of-good')
  expect(lines.join('')).toContain('keys.reload_refused')
  expect(lines.join('')).toContain('entry 1 is no SHA-256')
  expect(lines.join('')).not.toContain('my-secret-key')
  rmSync(keysFile)
  await ring.poll()
  expect(ring.get(hashOfKey('good'))?.tenant).toBe('team-of-good')
  writeFileSync(keysFile, '')
  await ring.poll()
  expect(ring.get(hashOfKey('good'))?.tenant).toBe('team-of-good')
  expect(await metrics.text()).toContain('winnow_reloads_total{what="keys",result="refused"} 3')
  writeFileSync(keysFile, fileOf('better'))
  await ring.poll()
  expect(ring.get(hashOfKey('good'))).toBeUndefined()
  expect(ring.get(hashOfKey('better'))?.tenant).toBe('team-of-better')
})

test('the configuration’s keys stay beside the file’s; of a key that both have the file’s entry counts', async () => {
  const both = { tenant: 'old-team', scopes: ['read'] } as const
  const { ring, keysFile } = ringOf(fileOf('a'), {
    [hashOfKey('a')]: both,
    [hashOfKey('b')]: both,
  })
  expect(ring.get(hashOfKey('a'))?.tenant).toBe('team-of-a')
  expect(ring.get(hashOfKey('b'))?.tenant).toBe('old-team')
  writeFileSync(keysFile, '{"v":1,"keys":{}}')
  await ring.poll()
  expect(ring.get(hashOfKey('a'))?.tenant).toBe('old-team')
})

test('a bad file at the start names the key, the path and the remedy, and nothing that stands in it', () => {
  for (const [text, message] of [
    ['', 'has to be v: 1 and keys:'],
    ['v: 2\nkeys: {}', 'has to be v: 1 and keys:'],
    ['v: 1\nkeys: {}\nkey: my-secret', 'has to be v: 1 and keys:'],
    ['v: 1\nkeys: { my-secret: a }', 'keys: entry 1 is no SHA-256'],
    ['v: 1\nkeys: my-secret', 'has to be v: 1 and keys:'],
    ['v: 1\nkeys: *my-secret', 'is no YAML (an alias that nothing defines'],
    ['v: 1\nkeys: "my-secret', 'is no YAML at line 2, column'],
    ['{"v":1,"keys":{"my-secret"', 'begins as JSON and is none'],
    [`v: 1\n${'\n'.repeat(2500)}`, 'lines, more than 2500'],
  ] as const) {
    let told = ''
    try {
      ringOf(text)
    } catch (error) {
      told = String(error)
    }
    expect(told).toMatch(/\[CONFIG_INVALID\] keysFile \S+keys\.yaml: /)
    expect(told).toContain(message)
    expect(told).not.toContain('my-secret')
  }
})

test('a keys file of keysFileBytesMax is read, one byte more is refused', () => {
  const json = (bytes: number) => '{"v":1,"keys":{}}'.padEnd(bytes)
  expect(ringOf(json(keysFileBytesMax)).ring.size).toBe(0)
  expect(() => ringOf(json(keysFileBytesMax + 1))).toThrow(
    `has ${keysFileBytesMax + 1} bytes, more than ${keysFileBytesMax}`,
  )
})
