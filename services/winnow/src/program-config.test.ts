import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { configKeys, configSchema, loadConfig } from './program-config.ts'

const example = readFileSync(join(import.meta.dirname, '../../../winnow.example.yaml'), 'utf8')

const load = (source: {
  text?: string
  env?: Record<string, string>
  options?: Record<string, string>
}) =>
  loadConfig({
    ...(source.text !== undefined && { file: 'winnow.yaml' }),
    env: source.env ?? {},
    options: source.options ?? {},
    readFile: () => source.text ?? '',
  })

test('winnow.example.yaml states every key with its default', () => {
  expect(load({ text: example })).toEqual(configSchema.parse({}))
  for (const key of configKeys()) {
    const name = key.split('.').at(-1) ?? ''
    expect(example, key).toMatch(new RegExp(`^ *(# )?${name}: `, 'm'))
  }
})

test('every key that the example comments out is a key', () => {
  const shown = example.replaceAll(/^( *)# (\w+: \S)/gm, '$1$2')
  expect(() => configSchema.parse(parse(shown))).not.toThrow()
})

test('options go before variables, and variables before the file', () => {
  const text = 'api: 127.0.0.1:1\ndata: file'
  const env = { WINNOW_API: '127.0.0.1:2', WINNOW_DATA: 'variable' }
  const config = load({ text, env, options: { api: '127.0.0.1:3' } })
  expect(config.api.port).toBe(3)
  expect(config.data).toBe('variable')
})

test('a bus is files or Kafka', () => {
  expect(load({ env: { WINNOW_BUS: 'kafka://a:9092,b:9092' } }).bus).toBe('kafka://a:9092,b:9092')
  expect(() => load({ env: { WINNOW_BUS: 'redis://a' } })).toThrow(/bus is "redis:\/\/a": use file/)
})

test('a password in the address of a cluster is refused, and not shown', () => {
  for (const env of [
    { WINNOW_BUS: 'kafka://ann:hunter2@a:9092' },
    { WINNOW_KAFKA_SOURCE_BROKERS: 'ann:hunter2@a:9092' },
  ]) {
    const asked = () => load({ env: env as Record<string, string> })
    expect(asked).toThrow(/saslUsername and (kafka\.)?saslPassword/)
    expect(asked).not.toThrow(/hunter2/)
  }
})

test('a certificate that no connection would use is refused, and so is a login without its mechanism', () => {
  const cases: [text: string, says: RegExp][] = [
    ['buffer: redis://a:1\nredis: { caFile: ca.pem }', /redis\.caFile .*set redis\.tls: true/],
    ['bus: kafka://a:1\nkafka: { caFile: ca.pem }', /kafka\.caFile .*set kafka\.tls: true/],
    ['hot: http://a:1\nopensearch: { caFile: ca.pem }', /opensearch\.caFile .*use https:/],
    ['s3: { endpoint: "http://a:1", caFile: ca.pem }', /s3\.caFile .*use https:/],
    ['bus: kafka://a:1\nkafka: { tls: true, certFile: c.pem }', /kafka\.keyFile: give certFile/],
    ['bus: kafka://a:1\nkafka: { saslUsername: ann }', /kafka\.saslMechanism: give plain/],
  ]
  for (const [text, says] of cases) expect(() => load({ text }), text).toThrow(says)
  for (const text of [
    'buffer: redis://a:1\nredis: { tls: true, caFile: ca.pem }',
    'hot: https://a:1\nopensearch: { caFile: ca.pem, certFile: c.pem, keyFile: k.pem }',
    's3: { endpoint: "https://a:1", caFile: ca.pem }',
    // Of services that are not used here nothing is asked.
    'redis: { caFile: ca.pem }\nkafka: { caFile: ca.pem, saslUsername: ann }\nopensearch: { caFile: ca.pem }',
  ]) {
    expect(() => load({ text }), text).not.toThrow()
  }
})

test('two listeners on one address are refused with both keys', () => {
  expect(() => load({ text: 'api: 127.0.0.1:4318' })).toThrow(
    'api is "127.0.0.1:4318": the address of otlpHttp, too: give each its own (--api HOST:PORT)',
  )
  // A free one each.
  expect(() => load({ text: 'api: 127.0.0.1:0\nmetrics: 127.0.0.1:0' })).not.toThrow()
})

test('an origin that no page can have is refused', () => {
  const of = (origin: string) => load({ text: `receiver: { corsOrigins: ['${origin}'] }` })
  for (const origin of ['https://app.example', 'http://localhost:3000']) of(origin)
  for (const origin of ['app.example', 'https://app.example/', 'https://app.example/x', '*', '']) {
    expect(() => of(origin), origin).toThrow(/receiver\.corsOrigins\.0.*is no origin/)
  }
})

test('the ring of Kafka’s spans is none, or its least and more in whole KiB', () => {
  const ringOf = (ring: string) => load({ env: { WINNOW_KAFKA_RING: ring } }).kafka.ring
  expect([ringOf('0B'), ringOf('16MiB'), ringOf('16385KiB')]).toEqual([0, 16 << 20, 16385 << 10])
  for (const wrong of ['16383KiB', '16777217B', '1B']) {
    expect(() => ringOf(wrong)).toThrow(/kafka\.ring.*give 0B for none/)
  }
})

test('a buffer is none or a Redis, and its password has a key of its own', () => {
  for (const buffer of [
    'none',
    'redis://a:6379',
    'redis://[::1]:1',
    'redis+sentinel://a:26379,b:26379/main',
    'redis+cluster://a:1,b:2',
  ]) {
    expect(load({ env: { WINNOW_BUFFER: buffer } }).buffer).toBe(buffer)
  }
  for (const buffer of [
    'redis',
    'redis://a',
    'redis://a:0',
    'redis://a:65536',
    'redis://a:1,b:1',
    'redis://a:1/0',
    'redis+sentinel://a:1',
    'redis+cluster://a:1/main',
    'rediss://a:1',
  ]) {
    const shown = `✖ buffer is "${buffer}": use none, redis://HOST:PORT, `
    expect(() => load({ env: { WINNOW_BUFFER: buffer } }), buffer).toThrow(shown)
  }
  const said = (): unknown => load({ env: { WINNOW_BUFFER: 'redis://winnow:geheim@a:6379' } })
  expect(said).toThrow(/✖ buffer: use none.*a password goes into redis.password/)
  expect(said).not.toThrow(/geheim/)
})

test('a hot store is SQLite or OpenSearch, whose credentials are no part of its address', () => {
  for (const hot of ['http://a:9200', 'https://a:9200,https://b:9200'])
    expect(load({ env: { WINNOW_HOT: hot } }).hot).toBe(hot)
  for (const hot of ['opensearch', 'http://a:9200,https://b:9200', 'http://a:9200/x'])
    expect(() => load({ env: { WINNOW_HOT: hot } }), hot).toThrow(/hot is ".*": use sqlite, or/)
  expect(() => load({ text: 'opensearch: { username: winnow }' })).toThrow(
    /opensearch: give username and password together/,
  )
  const secret = () => load({ env: { WINNOW_HOT: 'https://u:p/w@rd@a:9200' } })
  expect(secret).toThrow(/✖ hot: use sqlite.* opensearch.password/)
  expect(secret).not.toThrow(/p\/w|rd@/)
})

test('blobs are a folder or a bucket, and its server and keys have keys of their own', () => {
  const longest = `s3://abc/${'p'.repeat(54)}${`/${'p'.repeat(199)}`}`
  for (const blobs of ['folder', 's3://abc', 's3://a.b-c/team=1/winnow', `${longest}p`]) {
    expect(load({ env: { WINNOW_BLOBS: blobs } }).blobs).toBe(blobs)
  }
  const bad = [
    's3',
    's3://ab',
    's3://ABC',
    's3://abc/',
    's3://abc/a//b',
    's3://abc/.a',
    's3://abc/a.b',
  ]
  for (const blobs of [...bad, `${longest}pp`, 's3://host:9000/abc']) {
    const shown = `✖ blobs is "${blobs}": use folder, or s3://BUCKET[/PREFIX]; the server goes into s3.endpoint`
    expect(() => load({ env: { WINNOW_BLOBS: blobs } }), blobs).toThrow(shown)
  }
  const env = { WINNOW_S3_ENDPOINT: 'https://a:9000', WINNOW_S3_WARM_CLASS: 'STANDARD_IA' }
  expect(load({ env }).s3).toMatchObject({ endpoint: 'https://a:9000', warmClass: 'STANDARD_IA' })
  for (const [name, value] of [
    ['ENDPOINT', 'a:9000'],
    ['ENDPOINT', 'https://a/bucket'],
    ['COLD_CLASS', 'DEEP_ARCHIVE'],
    ['ATTEMPTS', '0'],
    ['ATTEMPTS', '21'],
    ['CONNECTIONS', '0'],
    ['REQUEST_TIMEOUT', '99ms'],
    ['REQUEST_TIMEOUT', '601s'],
  ] as const) {
    expect(() => load({ env: { [`WINNOW_S3_${name}`]: value } }), value).toThrow(/✖ s3\./)
  }
})

test('of S3’s keys there are both or none, and neither is shown', () => {
  const said = (): unknown => load({ env: { WINNOW_S3_SECRET_ACCESS_KEY: 'geheim' } })
  expect(said).toThrow(
    /✖ s3.secretAccessKey: give s3.accessKeyId and s3.secretAccessKey, or neither/,
  )
  expect(said).not.toThrow(/geheim/)
  const endpoint = (): unknown => load({ env: { WINNOW_S3_ENDPOINT: 'https://k:geheim@a' } })
  expect(endpoint).toThrow(/✖ s3.endpoint/)
  expect(endpoint).not.toThrow(/geheim/)
})

test('an address that others reach is refused without keys, and taken with them', () => {
  for (const [name, address] of [
    ['api', '0.0.0.0:4300'],
    ['otlpGrpc', '[::]:4317'],
    ['otlpHttp', '10.0.0.1:4318'],
    ['metrics', 'example.com:1'],
  ] as const) {
    const text = `${name}: "${address}"`
    expect(() => load({ text }), address).toThrow(`${name} is "${address}": without keys`)
    expect(load({ text: `${text}\nkeys: { ${'a'.repeat(64)}: t }` })[name].port).toBeGreaterThan(0)
    expect(load({ text: `${text}\nkeysFile: keys.yaml` })[name].port).toBeGreaterThan(0)
    expect(load({ text, options: { insecure: 'true' } })[name].port).toBeGreaterThan(0)
    expect(load({ text: `${text}\ninsecure: true` })[name].port).toBeGreaterThan(0)
    expect(() => load({ text: `${text}\ninsecure: false` })).toThrow('without keys')
  }
  for (const address of ['127.0.0.1:1', '127.1.2.3:1', 'localhost:1', '[::1]:1'])
    expect(load({ env: { WINNOW_API: address } }).api.port).toBe(1)
})

test('the index outlives the spans and is outlived by the decisions: at the limit not yet', () => {
  const env = {
    WINNOW_RETENTION_SPANS: '48h',
    WINNOW_ASSEMBLER_MAX_STALL: '10min',
    WINNOW_ASSEMBLER_OPEN_MAX: '2min',
    WINNOW_RETENTION_DECISIONS: '72h',
  }
  const withLife = (life: string) => () =>
    load({ env: { ...env, WINNOW_SAMPLER_INDEX_LIFE: life } })
  expect(withLife('2892min')).toThrow(/sampler\.indexLife is .*: give more than retention\.spans/)
  expect(withLife('2893min')).not.toThrow()
  expect(withLife('4319min')).not.toThrow()
  expect(withLife('72h')).toThrow(/retention\.decisions is .*: give more than sampler\.indexLife/)
})

test('the longest openMax counts, and is shorter than spans are retained', () => {
  const text = (openMax: string, own: string) =>
    `retention: { spans: 24h }\nassembler: { openMax: ${openMax}, closeTimes: [{ service: a, quiet: 1s }, { service: b, openMax: ${own} }] }\nsampler: { indexLife: 26h }`
  const withOpen = (openMax: string, own: string) => () => load({ text: text(openMax, own) })
  expect(withOpen('109min', '109min')).not.toThrow()
  const tooLong = /sampler\.indexLife is "26h": .*the longest openMax/
  expect(withOpen('110min', '1h')).toThrow(tooLong)
  expect(withOpen('1h', '110min')).toThrow(tooLong)
  expect(withOpen('24h', '1h')).toThrow(/assembler\.openMax is "24h": give less than/)
  expect(withOpen('1h', '24h')).toThrow(/assembler\.closeTimes\.1\.openMax is "24h": give less/)
})

test('a file that cannot be read is a mistake of the configuration, with its name', () => {
  const readFile = () => {
    throw new Error('ENOENT: no such file')
  }
  const read = () => loadConfig({ file: 'missing.yaml', env: {}, options: {}, readFile })
  expect(read).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  expect(read).toThrow(/cannot read missing\.yaml: ENOENT/)
})

test('a key that is no SHA-256 is refused without being shown', () => {
  const text = 'keys: { my-secret-key: team-a }'
  expect(() => load({ text })).toThrow(/keys: entry 1 is no SHA-256/)
  expect(() => load({ text })).not.toThrow(/my-secret-key/)
})
