import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { variableOf } from '@winnow/runtime'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configKeys, loadConfig } from '../services/winnow/src/program-config.ts'
import { startWinnow, winnow } from './support/winnow-process.ts'

/** The keys whose value nobody may see. */
const secretKeys = configKeys().filter(key =>
  /(password|secret|token|accessKey|credential|passphrase)\w*$/i.test(key.split('.').at(-1) ?? ''),
)

/** Sent in a header, where blanks are refused. */
const withoutBlanks = new Set(['privacy.names.token'])

/** Of digits and signs that YAML would take for something else. */
const secretOf = (key: string): string =>
  withoutBlanks.has(key) ? `*PLANTED:${key}#1` : `PLANTED ${key}: #1 *x`

/** What has to stand beside a secret so that it is used, as variables. */
const beside: Readonly<Record<string, string>> = {
  WINNOW_KAFKA_SASL_MECHANISM: 'plain',
  ...Object.fromEntries(
    configKeys()
      .filter(key => /username$/i.test(key))
      .map(key => [variableOf(key), 'somebody']),
  ),
}

let folder: string
let files: Record<string, string>

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-secrets-'))
  files = Object.fromEntries(
    secretKeys.map(key => {
      const path = join(folder, key)
      writeFileSync(path, `${secretOf(key)}\n`)
      return [`${variableOf(key)}_FILE`, path]
    }),
  )
})

afterAll(() => rmSync(folder, { recursive: true }))

const load = (env: Readonly<Record<string, string>>, text?: string) =>
  loadConfig({
    ...(text !== undefined && { file: 'winnow.yaml' }),
    env,
    options: {},
    readFile: path => (path === 'winnow.yaml' ? (text ?? '') : `${secretOf(keyOfFile(path))}\n`),
  })

const keyOfFile = (path: string): string => path.slice(folder.length + 1)

const mistakeOf = (read: () => unknown): string => {
  try {
    read()
  } catch (error) {
    return String(error)
  }
  return ''
}

test('there are secrets to look at', () => {
  expect(secretKeys).toContain('kafka.saslPassword')
  expect(secretKeys).toContain('redis.password')
})

test.each(secretKeys)('%s comes from a file that its variable with _FILE names', key => {
  // All of them: some are refused alone, a password without a user as a key without its secret.
  const config = load({ ...beside, ...files })
  const value = key.split('.').reduce<unknown>((at, part) => Reflect.get(Object(at), part), config)
  expect(value).toBe(secretOf(key))
})

test.each(secretKeys)(
  '%s is in no message about the configuration, wherever the mistake is',
  key => {
    const parts = key.split('.')
    const last = parts.pop() ?? ''
    const head = parts.map((part, depth) => `${'  '.repeat(depth)}${part}:\n`).join('')
    const indent = '  '.repeat(parts.length)
    for (const value of [
      '[PLANTED]',
      '{ PLANTED: 1 }',
      '"PLANTED',
      '*PLANTED',
      '@PLANTED',
      '!PLANTED 1',
      'a: PLANTED',
      '"\\PLANTED"',
      '|9\nPLANTED',
      'PLANTED\n PLANTED',
      `PLANTED\n${indent}${last}: PLANTED`,
    ]) {
      const text = `${head}${indent}${last}: ${value}\n`
      expect(
        mistakeOf(() => load({}, text)),
        text,
      ).not.toContain('PLANTED')
    }
    const elsewhere = mistakeOf(() =>
      load({ ...beside, [variableOf(key)]: secretOf(key), WINNOW_ASSEMBLER_QUIET: 'soon' }),
    )
    expect(elsewhere).toContain('assembler.quiet is "soon"')
    expect(elsewhere).not.toContain('PLANTED')
  },
)

test('a login in an address is refused or hidden, and never shown', () => {
  for (const [variable, value] of [
    ['WINNOW_BUS', 'kafka://u:PLANTED@a:9092/x'],
    ['WINNOW_BUS', 'kafka:/u:PLANTED'],
    ['WINNOW_HOT', 'https://u:PLANTED@a:9200'],
    ['WINNOW_BUFFER', 'redis://:PLANTED@a:6379'],
  ] as const) {
    const mistake = mistakeOf(() => load({ [variable]: value }))
    expect(mistake).toContain('CONFIG_INVALID')
    if (value.includes('@')) expect(mistake).not.toContain('PLANTED')
  }
})

/** Nobody listens at port 1: every part says how it fails. */
const nobody = {
  WINNOW_BUS: 'kafka://127.0.0.1:1',
  WINNOW_HOT: 'http://127.0.0.1:1',
  WINNOW_BUFFER: 'redis://127.0.0.1:1',
}

/** Every other one in its variable, the rest in files. */
const given = (): Record<string, string> => ({
  ...files,
  ...Object.fromEntries(
    secretKeys.filter((_, at) => at % 2 === 0).map(key => [variableOf(key), secretOf(key)]),
  ),
})

test.each([
  'topics --json',
  'topics --plan',
  'doctor',
  'verify --config none.yaml',
  'up --data /proc/none',
])('winnow %s says nothing of a secret', async line => {
  const args = line.split(' ')
  const env = { ...beside, ...given(), ...(args[0] === 'up' ? {} : nobody) }
  const { stdout, stderr } = await winnow(args, env)
  expect(stdout + stderr).not.toBe('')
  expect(stdout + stderr).not.toContain('PLANTED')
})

test('a running process says nothing of a secret: its lines, metrics and health', async () => {
  const running = await startWinnow({
    env: { ...beside, ...given(), WINNOW_BUFFER: nobody.WINNOW_BUFFER },
  })
  const said: string[] = []
  for (const path of ['/metrics', '/readyz', '/healthz', '/config', '/debug']) {
    said.push(await (await fetch(`http://${running.metrics}${path}`)).text())
  }
  for (const path of ['/api/v1/search', '/api/v1/verify', '/api/v1/config']) {
    said.push(await (await fetch(`http://${running.api}${path}`)).text())
  }
  expect(await running.stop()).toBe(0)
  said.push(running.stderr())
  running.clean()
  expect(said.join('\n')).toContain('winnow_')
  expect(said.join('\n')).not.toContain('PLANTED')
})
