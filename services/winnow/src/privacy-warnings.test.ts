import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { privacyCheck } from './doctor/privacy-check.ts'
import { tokenKeysWarning, unknownTenantsWarning } from './privacy-warnings.ts'
import { loadConfig } from './program-config.ts'

const configOf = (env: Record<string, string>, file?: object) =>
  loadConfig({
    ...(file !== undefined && { file: 'winnow.yaml' }),
    env,
    options: {},
    readFile: () => JSON.stringify(file),
  })

const kafka = { WINNOW_BUS: 'kafka://127.0.0.1:9092' }
const hash = (digit: string): string => digit.repeat(64)

test('on Kafka, redaction without a shared secret is warned of; on files, with one or without redaction not', async () => {
  expect(tokenKeysWarning(configOf(kafka))).toMatchObject({
    code: 'TOKEN_KEYS_NOT_SHARED',
    remedy: expect.stringContaining('WINNOW_PRIVACY_TOKEN_KEYS_FILE'),
  })
  expect(await privacyCheck(configOf(kafka)).look()).toMatchObject([
    { key: 'privacy.tokenKeys', status: 'warning' },
  ])
  const secret = 'a secret of sixteen'
  for (const env of [
    {},
    { ...kafka, WINNOW_PRIVACY_TOKEN_KEYS: secret },
    { ...kafka, WINNOW_PRIVACY_REDACT: 'false' },
  ]) {
    expect(tokenKeysWarning(configOf(env))).toBeUndefined()
    expect(await privacyCheck(configOf(env)).look()).toEqual([])
  }
  const one = { ...kafka, WINNOW_PRIVACY_REDACT: 'false' }
  const some = configOf(one, { privacy: { tenants: { default: { redact: true } } } })
  expect(tokenKeysWarning(some)).toBeDefined()
})

test('a tenant of privacy.tenants that no key speaks for is warned of, by whatever keys there are', () => {
  const tenants = { 'team-a': { redact: false }, 'team-B': { redact: false } }
  const warningOf = (file: object) =>
    unknownTenantsWarning(configOf({}, { privacy: { tenants }, ...file }))
  expect(warningOf({})?.found).toMatch(/^team-a, team-B: /)
  expect(warningOf({ keys: { [hash('a')]: 'team-a' } })).toMatchObject({
    code: 'TENANT_UNKNOWN',
    found: expect.stringMatching(/^team-B: /),
    remedy: expect.stringContaining('(team-a)'),
  })
  const keys = { [hash('a')]: 'team-a', [hash('b')]: 'team-B' }
  expect(warningOf({ keys })).toBeUndefined()
  const folder = mkdtempSync(join(tmpdir(), 'winnow-tenants-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const keysFile = join(folder, 'keys.json')
  writeFileSync(keysFile, JSON.stringify({ v: 1, keys: { [hash('b')]: 'team-B' } }))
  expect(warningOf({ keys: { [hash('a')]: 'team-a' }, keysFile })).toBeUndefined()
  expect(warningOf({ keysFile })?.found).toMatch(/^team-a: /)
  // Of a file that cannot be read the start says more.
  expect(warningOf({ keysFile: join(folder, 'none') })).toBeUndefined()
})

test('tenants of a Kafka source are known, or may be anything', () => {
  const privacy = { tenants: { 'team-a': { redact: false } } }
  const source = { brokers: '127.0.0.1:9092', topics: ['otlp'] }
  const warningOf = (kafkaSource: object) =>
    unknownTenantsWarning(configOf({}, { privacy, kafkaSource }))
  expect(warningOf({ ...source, tenant: 'team-a' })).toBeUndefined()
  expect(warningOf({ ...source, tenantHeader: 'x-tenant' })).toBeUndefined()
  expect(warningOf({ ...source, tenant: 'team-b' })).toBeDefined()
})
