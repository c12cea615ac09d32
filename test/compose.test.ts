// docker-compose.yml and the Dockerfile, as far as they can be tried without a container engine.
// test/stack/compose.test.ts runs their very commands on real servers.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { variableOf } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { configKeys, loadConfig } from '../services/winnow/src/program-config.ts'
import {
  compose,
  composeText,
  copies,
  dockerfile,
  isIgnored,
  listOf,
  root,
  secretText,
  stages,
  winnowEnv,
} from './support/compose-file.ts'

const services = Object.entries(compose.services)
const ours = services.filter(([, { build }]) => build !== undefined)

test('the five stages run, each by its own command, and nothing else of ours but what makes the bucket', () => {
  expect(ours.map(([name]) => name).toSorted()).toEqual([...stages, 'bucket'].toSorted())
  for (const stage of stages) expect(compose.services[stage]?.command).toEqual([stage])
})

test('every WINNOW_ variable is a key', () => {
  const known = new Set(configKeys().map(variableOf))
  for (const [name] of ours) {
    const variables = Object.keys(winnowEnv(name))
    expect(variables.length).toBeGreaterThan(5)
    for (const one of variables) expect(known, one).toContain(one.replace(/_FILE$/, ''))
  }
})

for (const stage of stages) {
  test(`the configuration of ${stage} loads, and names services of this file`, () => {
    const config = loadConfig({ env: winnowEnv(stage), options: {}, readFile: secretText })
    expect(config.insecure).toBe(true)
    for (const address of [config.bus, config.buffer, config.hot, config.s3.endpoint]) {
      expect(Object.keys(compose.services), address).toContain(new URL(address ?? '').hostname)
    }
    const beyond = [config.otlpGrpc, config.otlpHttp, config.api].filter(
      ({ host }) => host === '0.0.0.0',
    )
    expect(beyond.length).toBe({ receiver: 2, query: 1 }[stage as string] ?? 0)
    expect(config.metrics).toEqual({ host: '0.0.0.0', port: 9464 })
  })
}

test('only OTLP, the API and Grafana are published, on loopback', () => {
  const published = services.flatMap(([, { ports }]) => ports ?? []).toSorted()
  expect(published).toEqual(
    [4317, 4318, 4300, 3000].map(port => `127.0.0.1:${port}:${port}`).toSorted(),
  )
})

test('who is waited for says when it is there', () => {
  for (const [name, { depends_on: dependsOn = {} }] of services) {
    for (const [other, { condition }] of Object.entries(dependsOn)) {
      const waited = compose.services[other]
      expect(waited, `${name} waits for ${other}`).toBeDefined()
      if (condition === 'service_healthy') {
        expect(waited?.healthcheck?.test, `${other} has a healthcheck`).toBeDefined()
      }
      // What makes the bucket asks until it is answered; the others wait until it has ended.
      if (condition === 'service_started') expect([name, other]).toEqual(['bucket', 's3'])
      if (condition === 'service_completed_successfully') expect(other).toBe('bucket')
    }
  }
})

test('every image is pinned by a tag that can be built or loaded by hand', () => {
  for (const [name, { image }] of services) {
    expect(image, name).toMatch(/^[a-z0-9./-]+:(v?\d+\.\d+\.\d+|local)$/)
  }
  expect(composeText).not.toContain('pull_policy')
  expect(composeText).not.toContain('@sha256')
})

test('ours may not write but below /tmp and /data, and are no root', () => {
  for (const [name, service] of ours) {
    expect(service, name).toMatchObject({ read_only: true, tmpfs: ['/tmp'], cap_drop: ['ALL'] })
    expect(service.user, name).toBeUndefined()
  }
  const user = dockerfile.findIndex(({ name }) => name === 'USER')
  expect(dockerfile[user]?.rest).toBe('node')
  expect(dockerfile.slice(user).some(({ name }) => name === 'RUN' || name === 'COPY')).toBe(false)
})

test('every file, secret and volume that is mounted is there', () => {
  const used = new Set<string>()
  for (const [name, { volumes = [], secrets = [] }] of services) {
    for (const volume of volumes) {
      const [source = ''] = volume.split(':')
      if (source.startsWith('./')) expect(existsSync(join(root, source)), source).toBe(true)
      else used.add(source)
    }
    for (const secret of secrets) {
      expect(secretText(`/run/secrets/${secret}`).trim(), `${name} ${secret}`).not.toBe('')
    }
  }
  expect([...used].toSorted()).toEqual(Object.keys(compose.volumes).toSorted())
})

test('the S3 server and its clients have the same key', () => {
  const server = compose.services.s3?.environment
  const { s3 } = loadConfig({ env: winnowEnv('writer'), options: {}, readFile: secretText })
  expect([server?.ROOT_ACCESS_KEY, server?.ROOT_SECRET_KEY]).toEqual([
    s3.accessKeyId,
    s3.secretAccessKey,
  ])
})

test('receiver, writer and query have one secret for tokens, and query reads the keys that the writer makes', () => {
  const secretOf = (stage: string): string | undefined =>
    loadConfig({ env: winnowEnv(stage), options: {}, readFile: secretText }).privacy.tokenKeys
  const shared = secretOf('receiver')
  expect(shared).toMatch(/.{16}/)
  for (const stage of ['receiver', 'writer', 'query']) {
    expect(secretOf(stage), stage).toBe(shared)
    expect(compose.services[stage]?.secrets, stage).toContain('token-keys')
  }
  const { writer, query } = compose.services
  expect(writer?.volumes).toEqual(['cold-keys:/data'])
  expect(query?.volumes).toEqual(['cold-keys:/data:ro'])
  expect(query?.depends_on).toHaveProperty('writer')
})

test('Prometheus scrapes the five stages, and Grafana asks that Prometheus', () => {
  const file = readFileSync(join(root, 'deploy/prometheus/targets.compose.yaml'), 'utf8')
  const [{ targets }] = parse(file) as [{ targets: string[] }]
  expect(targets).toEqual(stages.map(stage => `${stage}:9464`))
  const source = join(root, 'deploy/grafana/provisioning/datasources/prometheus.yaml')
  const { datasources } = parse(readFileSync(source, 'utf8'))
  expect(datasources).toMatchObject([{ uid: 'prometheus', url: 'http://prometheus:9090' }])
})

test('the Dockerfile uses what every builder has, and copies what is there and not ignored', () => {
  const known = ['FROM', 'WORKDIR', 'COPY', 'RUN', 'ENV', 'VOLUME', 'USER', 'EXPOSE']
  const last = ['HEALTHCHECK', 'ENTRYPOINT', 'CMD']
  for (const { name, rest } of dockerfile) {
    expect([...known, ...last]).toContain(name)
    expect(rest).not.toMatch(/--mount|--link|<</)
  }
  expect(dockerfile[0]).toEqual({ name: 'FROM', rest: 'node:24-slim' })
  for (const path of copies.flatMap(({ from }) => from)) {
    expect(existsSync(join(root, path)), path).toBe(true)
    expect(isIgnored(path), path).toBe(false)
  }
  for (const path of [...listOf('ENTRYPOINT'), 'deploy/healthcheck.mjs'].filter(
    one => one !== 'node',
  )) {
    expect(
      copies.some(({ from }) => from.some(one => path.startsWith(one))),
      path,
    ).toBe(true)
  }
})

test('neither data nor tests nor what npm installs is sent to the builder', () => {
  for (const path of ['data/x', '.git/HEAD', 'node_modules/x', 'packages/bus/node_modules/x']) {
    expect(isIgnored(path), path).toBe(true)
  }
  expect(isIgnored('packages/bus/src/bus.test.ts')).toBe(true)
  expect(isIgnored('services/ui/dist/index.html')).toBe(true)
  expect(isIgnored('packages/bus/src/bus.ts')).toBe(false)
  expect(isIgnored('deploy/secrets/s3-secret-access-key')).toBe(true)
})
