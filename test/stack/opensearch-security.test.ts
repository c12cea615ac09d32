import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { dayMs } from '../../packages/storage/src/hot-period.ts'
import type { OpenSearchHotStoreOptions } from '../../packages/storage/src/opensearch/opensearch-hot-store.ts'
import { sampleTimeMs, sampleTrace, sampleTraceId } from '../../packages/storage/src/samples.ts'
import { secureOpenSearchForTest } from './opensearch/secure.ts'
import { openTestStore } from './opensearch/store.ts'

/** As docs/operations.md lists them. */
const rights = {
  writer: {
    cluster_permissions: [
      'cluster:monitor/main',
      'cluster:admin/component_template/*',
      'indices:admin/index_template/*',
      'cluster_composite_ops',
    ],
    index_permissions: [
      {
        index_patterns: ['winnow-*'],
        allowed_actions: [
          'create_index',
          'write',
          'read',
          'indices:admin/refresh*',
          'indices:admin/resolve/index',
          'indices:admin/delete',
          'indices:monitor/stats',
        ],
      },
    ],
  },
  reader: {
    cluster_permissions: ['cluster:monitor/main', 'cluster_composite_ops_ro'],
    index_permissions: [
      { index_patterns: ['winnow-*'], allowed_actions: ['read', 'indices:admin/refresh*'] },
    ],
  },
  // It sees what the server shows by itself.
  onlooker: {
    cluster_permissions: ['cluster:monitor/main', 'cluster_composite_ops_ro'],
    index_permissions: [{ index_patterns: ['winnow-*'], allowed_actions: ['read'] }],
  },
}

test('with TLS and users: each does what its rights allow, and a mistake is said by key and remedy', async ({
  skip,
}) => {
  const { url, ca, ask } = await secureOpenSearchForTest(skip)
  const password = `Aa1!${randomBytes(12).toString('hex')}`
  for (const [name, role] of Object.entries(rights)) {
    const api = '/_plugins/_security/api'
    expect(await ask('PUT', `${api}/roles/winnow_${name}`, role)).toBe(201)
    const user = { password, opendistro_security_roles: [`winnow_${name}`] }
    expect(await ask('PUT', `${api}/internalusers/${name}`, user)).toBe(201)
  }
  const open = async (username: string, options: Partial<OpenSearchHotStoreOptions> = {}) => {
    const mayWrite = username === 'writer'
    const given = { indexPrefix: 'winnow', username, password, tls: { ca }, mayWrite, ...options }
    const store = await openTestStore(url, given)
    onTestFinished(() => store.close())
    return store
  }

  const writer = await open('writer')
  await writer.put([sampleTrace(1), sampleTrace(2)])
  expect((await writer.get('default', sampleTraceId(1)))?.bodies.length).toBe(1)
  expect(await writer.bytes()).toBeGreaterThan(0)
  for (const name of ['reader', 'onlooker']) {
    const store = await open(name)
    expect((await store.get('default', sampleTraceId(1)))?.bodies.length, name).toBe(1)
    expect((await store.search({ tenant: 'default', limit: 9 })).decisions.length, name).toBe(2)
    const said =
      /STORE_UNAVAILABLE.*opensearch.username lacks a right.*indices:.*docs\/operations.md/
    await expect(store.put([sampleTrace(3)]), name).rejects.toThrow(said)
  }
  await writer.expire(sampleTimeMs + 30 * dayMs)
  expect(await writer.bytes()).toBe(0)

  const mistakes: [() => Promise<unknown>, RegExp][] = [
    [
      () => open('writer', { password: 'wrong' }),
      /opensearch.username or opensearch.password \(401\)/,
    ],
    [() => open('reader', { mayWrite: true }), /opensearch.username lacks a right \(403, /],
    [() => open('writer', { tls: undefined }), /signed its certificate with opensearch.caFile/],
  ]
  for (const [mistake, said] of mistakes) {
    const error = await mistake().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
    expect(String(error)).toMatch(said)
    expect(String(error)).toContain(url)
    expect(String(error)).not.toContain(password)
  }
  const errors: string[] = []
  const log = {
    info: () => {},
    warn: () => {},
    error: (_: string, error: unknown) => errors.push(String(error)),
  }
  // It may be starting: this is said, and tried again.
  await open('writer', { nodes: [url.replace('https', 'http')], log })
  expect(errors.join()).toMatch(/speak the other of http and https/)
})
