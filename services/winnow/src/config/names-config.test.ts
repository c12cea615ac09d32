import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Metrics, silentLog } from '@winnow/runtime'
import { expect, onTestFinished, test } from 'vitest'
import { answer, startDetector } from '../../../../packages/privacy/src/names/detector.fixture.ts'
import { namesChecks } from '../doctor/names-check.ts'
import { loadConfig } from '../program-config.ts'
import { languagesOf, namesOf } from './names-config.ts'

const configOf = (privacy: object, env: Record<string, string> = {}, files = '') =>
  loadConfig({
    file: 'winnow.yaml',
    env,
    options: {},
    readFile: path => (path === 'winnow.yaml' ? JSON.stringify({ privacy }) : files),
  })

const shared = { metrics: new Metrics(), log: silentLog }
const url = 'http://127.0.0.1:5002'

test('nobody is asked unless a detector is named, and of a tenant only where he is not left out', () => {
  expect(namesOf(configOf({}), shared)).toBeUndefined()
  expect(namesChecks(configOf({}))).toEqual([])
  const tenants = { 'team-a': { language: 'de' }, 'team-b': { names: false, language: 'fr' } }
  const config = configOf({ names: { url }, tenants })
  const names = namesOf(config, shared)
  expect(names?.of('team-b')).toBeUndefined()
  expect(names?.of('team-a')).toBeDefined()
  expect(names?.of('constructor')).toBeDefined()
  expect(languagesOf(config)).toEqual(['en', 'de'])
  names?.close()
})

test('a secret comes from a file, and is in no mistake', () => {
  const env = { WINNOW_PRIVACY_NAMES_TOKEN_FILE: '/run/token' }
  expect(configOf({ names: { url } }, env, 'the-token\n').privacy.names.token).toBe('the-token')
  const mistake = (names: object): string => {
    try {
      configOf({ names })
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(mistake({ url: 'http://10.0.0.7:5002' })).toMatch(
    /privacy\.names\.url is "http:\/\/10\.0\.0\.7:5002": plain http beyond this machine/,
  )
  expect(mistake({ url: 'http://10.0.0.7:5002', insecure: true })).toBe('')
  expect(mistake({ url: 'https://detector' })).toBe('')
  expect(mistake({ url: 'http://user:horse@127.0.0.1' })).not.toContain('horse')
  expect(mistake({ url: 'http://user:horse@127.0.0.1' })).toContain('privacy.names.token')
  for (const [key, value] of [
    ['token', 'two\nlines'],
    ['waitMax', '9ms'],
    ['waitMax', '61s'],
    ['scoreMin', 1.1],
    ['language', 'english please'],
    ['entities', []],
    ['entities', ['a b']],
    ['callTextsMax', 0],
    ['callTextsMax', 501],
    ['proxy', 'x'],
  ] as const) {
    expect(mistake({ url, [key]: value }), key).toMatch(/privacy\.names/)
  }
  for (const waitMax of ['10ms', '60s']) expect(mistake({ url, waitMax })).toBe('')
})

test('doctor asks the detector in every language, and says which it is of no use for', async () => {
  const server = await startDetector(['Jane Doe'])
  onTestFinished(() => server.close())
  const config = configOf({ names: { url: server.url }, tenants: { a: { language: 'de' } } })
  const look = async () => (await Promise.all(namesChecks(config).map(one => one.look()))).flat()
  expect(await look()).toMatchObject([
    { status: 'ok', found: expect.stringMatching(/: answers for en in [\d.]+ ms$/) },
    { status: 'ok', found: expect.stringContaining('for de') },
  ])
  server.misbehave = (response, { language }) =>
    language === 'de' ? answer(response, { error: 'no' }, 500) : answer(response, [])
  expect(await look()).toMatchObject([
    { status: 'ok' },
    { status: 'failed', found: expect.stringContaining('no use for de: status 500') },
  ])
})

test('a file that cannot be read is named with its key', () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-names-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const caFile = join(folder, 'ca.pem')
  const config = configOf({ names: { url: 'https://detector', caFile } })
  expect(() => namesOf(config, shared)).toThrow(/privacy\.names\.caFile: cannot read/)
  writeFileSync(caFile, '')
  namesOf(config, shared)?.close()
})
