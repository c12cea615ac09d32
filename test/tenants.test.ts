import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { apiRoutes } from '@winnow/query'
import { hashOfKey, type Scope, scopes } from '@winnow/runtime'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

// Two tenants on one running pipeline. What follows is made from the API's own table of routes.

const kept = 'ac3e000000000000ffffffffffffffff'
/** Its randomness is below every threshold. */
const dropped = 'ac3e0000000000000000000000000001'
/** Nobody ever sends them. */
const nobodys = ['ac3effffffffffffffffffffffffffff', 'ac3effffffffffff0000000000000001']
const marker = 'ACME-ALONE'
const text = 'the customer wrote this: ACME-TEXT'
const evaluationId = `${kept}.c1`

let running: RunningWinnow
let folder: string

const keyOf = (tenant: string, given: readonly Scope[] = scopes): string =>
  `key of ${tenant} for ${given.join(' ')}`.replaceAll(' ', '-')

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-tenants-'))
  const ofTenant = (tenant: string, given: readonly Scope[]) =>
    `  ${hashOfKey(keyOf(tenant, given))}: { tenant: ${tenant}, scopes: [${given.join(', ')}] }\n`
  const sets = [
    scopes,
    scopes.filter(scope => scope !== 'admin'),
    ['read'] as const,
    ...scopes.map(scope => scopes.filter(one => one !== scope)),
  ]
  const lines = new Set(['acme', 'beta'].flatMap(tenant => sets.map(set => ofTenant(tenant, set))))
  const config = join(folder, 'winnow.yaml')
  writeFileSync(config, `keys:\n${[...lines].join('')}`)
  running = await startWinnow({ args: ['--config', config] })
  await send(kept, 2)
  await send(dropped, 0)
  const outcome = { traceId: kept, id: 'c1', name: 'csat', score: 5 }
  expect((await call('POST', '/api/v1/evaluations', keyOf('acme'), outcome)).status).toBe(202)
  const settled = async () => {
    const stored = await call('GET', `/api/v1/traces/${kept}`, keyOf('acme'))
    expect(stored.status).toBe(200)
    expect(stored.text).toContain('csat')
    const why = await call('GET', `/api/v1/traces/${dropped}/why`, keyOf('acme'))
    expect(why.text).toContain('"state":"dropped"')
  }
  await vi.waitFor(settled, { timeout: 60_000, interval: 300 })
})

afterAll(async () => {
  await running.stop()
  running.clean()
  rmSync(folder, { recursive: true })
})

async function send(traceId: string, statusCode: number): Promise<void> {
  const nowNs = BigInt(Date.now()) * 1_000_000n
  const span = {
    traceId,
    spanId: '00000000000000aa',
    name: marker,
    kind: 2,
    startTimeUnixNano: String(nowNs - 1_000_000n),
    endTimeUnixNano: String(nowNs),
    status: { code: statusCode },
    attributes: [{ key: 'gen_ai.input.messages', value: { stringValue: text } }],
  }
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: marker } }] }
  const response = await fetch(`http://${running.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': keyOf('acme') },
    body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] }),
  })
  expect(response.status).toBe(200)
}

interface Answer {
  readonly status: number
  readonly text: string
}

async function call(method: string, path: string, key?: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`http://${running.api}${path}`, {
    method,
    headers: { ...(key !== undefined && { authorization: `Bearer ${key}` }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: response.status, text: await response.text() }
}

interface Case {
  readonly path: string
  readonly body?: unknown
  /** What the owner sees there, so that the other's nothing means something. */
  readonly owner: number | RegExp
  /** The same about ids that nobody has sent: the other has to be told the same, word for word. */
  readonly asIf?: { readonly path: string; readonly body?: unknown }
  /** Where there is no id: what the other is told. */
  readonly stranger?: RegExp
  /** Until what the other has sent is in effect: answers about one id or the other would differ meanwhile. */
  readonly settled?: () => Promise<unknown>
}

/** Until the outcome that the other sends of a trace is with its tenant. */
const folded = (traceId: string) => async () => {
  const own = await call('GET', `/api/v1/evaluations/${traceId}.c2`, keyOf('beta'))
  expect(own.text).toContain('"state":"awaiting"')
}
const inTime = { timeout: 30_000, interval: 200 }

const outcomeOf = (traceId: string) => ({ traceId, id: 'c2', name: 'csat', score: 1 })

const holdOf = (traceId: string) => ({
  traceId,
  reason: 'ACME-REASON',
  by: 'ACME-PERSON',
  until: new Date(Date.now() + 7 * 86_400_000).toISOString(),
})

/** For every route how the one tenant's data would be asked for by the other. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  'GET /api/v1/traces/{id}': [kept, dropped].map((id, at) => ({
    path: `/api/v1/traces/${id}`,
    owner: [200, 404][at] ?? 0,
    asIf: { path: `/api/v1/traces/${nobodys[at]}` },
  })),
  'GET /api/v1/traces/{id}/why': [kept, dropped].map((id, at) => ({
    path: `/api/v1/traces/${id}/why`,
    owner: [/"state":"kept"/, /"state":"dropped"/][at] ?? 0,
    asIf: { path: `/api/v1/traces/${nobodys[at]}/why` },
  })),
  'POST /api/v1/traces/{id}/rescue': [kept, dropped].map((id, at) => ({
    path: `/api/v1/traces/${id}/rescue`,
    body: { reason: 'mine' },
    owner: [200, 202][at] ?? 0,
    asIf: { path: `/api/v1/traces/${nobodys[at]}/rescue`, body: { reason: 'mine' } },
  })),
  'POST /api/v1/evaluations': [
    {
      path: '/api/v1/evaluations',
      body: outcomeOf(kept),
      owner: 202,
      asIf: { path: '/api/v1/evaluations', body: outcomeOf(nobodys[0] ?? '') },
      settled: () =>
        Promise.all([kept, nobodys[0] ?? ''].map(id => vi.waitFor(folded(id), inTime))),
    },
  ],
  'GET /api/v1/evaluations/{id}': [
    {
      path: `/api/v1/evaluations/${evaluationId}`,
      owner: 200,
      asIf: { path: `/api/v1/evaluations/${nobodys[0]}.c1` },
    },
  ],
  'GET /api/v1/search': ['kept', 'dropped', 'expired', 'awaiting'].map(state => ({
    path: `/api/v1/search?state=${state}`,
    owner: /^\{"traces":\[/,
    stranger: /^\{"traces":\[\]/,
  })),
  'GET /api/v1/sampling': [
    { path: '/api/v1/sampling', owner: /"kept":1/, stranger: /"kept":0,"dropped":0,"awaiting":0/ },
  ],
  'GET /api/v1/cost': [
    { path: '/api/v1/cost?by=service,root&daily=true', owner: /"tenant":"acme"/ },
    { path: '/api/v1/cost?by=tenant', owner: /"v":1/, stranger: /"tenant":"beta"/ },
  ],
  'GET /api/v1/cost/rows': ['', '?tenant=acme', `?service=${marker}`].map(query => ({
    path: `/api/v1/cost/rows${query}`,
    owner: /^\{"sum":/,
    stranger: /"decisions":0.*"rows":\[\]/,
  })),
  'GET /api/v1/verify': [
    { path: '/api/v1/verify', owner: /"received":2/, stranger: /"received":0/ },
    { path: '/api/v1/verify?full', owner: /"received":2/, stranger: /"received":0/ },
  ],
  'GET /api/v1/erasures': [
    { path: '/api/v1/erasures', owner: /^\{"erasures":\[/, stranger: /^\{"erasures":\[\]\}$/ },
  ],
  'GET /api/v1/erasures/{id}': [{ path: '/api/v1/erasures/5c1e09b2f3a47d68', owner: 404 }],
  // A dry run: what the others ask about is to stay.
  'POST /api/v1/erasures': [
    {
      path: '/api/v1/erasures',
      body: { where: { 'trace.id': kept }, dryRun: true },
      owner: 202,
      stranger: /"traces":0/,
    },
  ],
  'POST /api/v1/holds': [
    {
      path: '/api/v1/holds',
      body: holdOf(kept),
      owner: 201,
      asIf: { path: '/api/v1/holds', body: holdOf(nobodys[0] ?? '') },
    },
  ],
  'GET /api/v1/holds': [
    { path: '/api/v1/holds', owner: /^\{"holds":\[/, stranger: /^\{"holds":\[\]\}$/ },
  ],
  'GET /api/v1/holds/{id}': [{ path: '/api/v1/holds/5c1e09b2f3a47d68', owner: 404 }],
  'DELETE /api/v1/holds/{id}': [{ path: '/api/v1/holds/5c1e09b2f3a47d68', owner: 404 }],
  // The rules are the fleet's, no tenant's: whose key has the scope admin sees them.
  'GET /api/v1/policy': [{ path: '/api/v1/policy', owner: /"version":"default-/ }],
  'POST /api/v1/policy': [{ path: '/api/v1/policy', body: {}, owner: 422 }],
  'GET /api/v1/policy/history': [{ path: '/api/v1/policy/history', owner: /"source":"file"/ }],
}

/** What is read comes before what changes it. */
const names = apiRoutes.map(({ method, path }) => `${method} ${path}`).sort()

/** Ids apart: what is left must not depend on whose the trace is. */
const withoutIds = ({ status, text: said }: Answer): Answer => ({
  status,
  text: said.replaceAll(/ac3e[0-9a-f]{28}/g, 'ID'),
})

test('every route of the API has its case here', () => {
  expect(Object.keys(cases).sort()).toEqual(names)
})

// The stranger asks before the owner does: an owner's rescue would change what there is.
test.each(names)(
  '%s: another tenant’s key sees nothing, and not that there is something',
  async name => {
    const [method = ''] = name.split(' ')
    for (const { path, body, asIf, stranger, settled } of cases[name] ?? []) {
      const told = await call(method, path, keyOf('beta'), body)
      expect(told.text).not.toMatch(/ACME/)
      expect(told.status).not.toBe(403)
      if (stranger !== undefined) expect(told.text).toMatch(stranger)
      if (asIf === undefined) continue
      const ofNobody = await call(method, asIf.path, keyOf('beta'), asIf.body)
      expect(withoutIds(told)).toEqual(withoutIds(ofNobody))
      await settled?.()
    }
  },
)

test('an outcome that another tenant sends for a trace does not reach it', async () => {
  await vi.waitFor(folded(kept), inTime)
  const why = await call('GET', `/api/v1/traces/${kept}/why`, keyOf('acme'))
  expect(why.text).toContain(evaluationId)
  expect(why.text).not.toContain(`${kept}.c2`)
})

test.each(names)(
  '%s: its owner sees it, without a key nobody, without the scope nobody',
  async name => {
    const [method = ''] = name.split(' ')
    const { scope } = apiRoutes.find(one => `${one.method} ${one.path}` === name) ?? { scope: '' }
    for (const { path, body, owner } of cases[name] ?? []) {
      expect((await call(method, path, undefined, body)).status).toBe(401)
      expect((await call(method, path, 'no-such-key', body)).status).toBe(401)
      const without = keyOf(
        'acme',
        scopes.filter(one => one !== scope),
      )
      const refused = await call(method, path, without, body)
      expect(refused.status).toBe(403)
      expect(JSON.parse(refused.text).error).toMatchObject({ field: 'scope', value: scope })
      expect(refused.text).not.toContain(without)
      const own = await call(method, path, keyOf('acme'), body)
      if (typeof owner === 'number') expect(own.status).toBe(owner)
      else expect(own.text).toMatch(owner)
    }
  },
)

test('an erasure that a tenant asks for is another’s neither to see nor to suffer', async () => {
  const body = { where: { 'trace.id': kept } }
  const asked = await call('POST', '/api/v1/erasures', keyOf('beta'), body)
  expect(asked.status).toBe(202)
  const { id } = JSON.parse(asked.text) as { readonly id: string }
  const path = `/api/v1/erasures/${id}`
  const isRemoved = async () => {
    const told = await call('GET', path, keyOf('beta'))
    expect(told.text).toContain('"state":"waiting-for-retention"')
  }
  await vi.waitFor(isRemoved, { timeout: 60_000, interval: 200 })
  expect((await call('GET', path, keyOf('acme'))).status).toBe(404)
  expect((await call('GET', `/api/v1/traces/${kept}`, keyOf('acme'))).text).toContain('ACME-TEXT')
  expect((await call('GET', `/api/v1/traces/${kept}`, keyOf('beta'))).status).toBe(410)
})

test('a hold is another tenant’s neither to see nor to end, and its reason is content', async () => {
  const { until: _until, ...rest } = holdOf(kept)
  const body = { ...rest, until: new Date(Date.now() + 86_400_000).toISOString().slice(0, 10) }
  const made = await call('POST', '/api/v1/holds', keyOf('acme'), body)
  expect(made.status).toBe(201)
  const { id } = JSON.parse(made.text) as { readonly id: string }
  const path = `/api/v1/holds/${id}`
  for (const method of ['GET', 'DELETE']) {
    const told = await call(method, path, keyOf('beta'))
    expect(told.status).toBe(404)
    expect(told.text).not.toMatch(/ACME/)
  }
  expect((await call('GET', '/api/v1/holds', keyOf('beta'))).text).toBe('{"holds":[]}')
  const reader = await call('GET', path, keyOf('acme', ['read']))
  expect(reader.status).toBe(200)
  expect(reader.text).not.toMatch(/ACME/)
  expect((await call('DELETE', path, keyOf('acme', ['read']))).status).toBe(403)
  expect((await call('DELETE', path, keyOf('acme'))).status).toBe(200)
  expect((await call('GET', path, keyOf('acme'))).status).toBe(404)
})

test('on the command line a key of another tenant is one line with the id and the remedy, not the key', async () => {
  const args = [dropped, '--url', `http://${running.api}`, '--key', keyOf('beta')]
  const trace = await winnow(['trace', ...args])
  expect(trace.code).toBe(1)
  expect(trace.stderr).toMatch(
    new RegExp(`^winnow: TRACE_NOT_STORED id "${dropped}": .*check the id and the key’s tenant\n$`),
  )
  const why = await winnow(['why', ...args])
  expect(why.code).toBe(1)
  expect(why.stdout).toContain('check the id, and whose the key is')
  const beside = ['rescue', ...args, '--reason', 'mine']
  const rescue = await winnow(beside)
  expect(rescue.code).toBe(1)
  expect(rescue.stderr).toContain(`TRACE_UNKNOWN id "${dropped}"`)
  for (const { stdout, stderr } of [trace, why, rescue]) {
    expect(stdout + stderr).not.toContain(keyOf('beta'))
    expect(stdout + stderr).not.toMatch(/ACME/)
  }
})

test('without the scope content a trace has no text, and the answer says why', async () => {
  const path = `/api/v1/traces/${kept}`
  const whole = await call('GET', path, keyOf('acme'))
  expect(JSON.parse(whole.text)).toMatchObject({ level: 'full' })
  expect(whole.text).toContain('ACME-TEXT')
  const without = await call('GET', path, keyOf('acme', ['read']))
  expect(without.status).toBe(200)
  expect(JSON.parse(without.text)).toMatchObject({
    level: 'structured',
    withheld: { scope: 'content' },
    spans: [{ spanId: '00000000000000aa' }],
  })
  expect(without.text).not.toContain('ACME-TEXT')
  const otlp = await call('GET', `${path}?format=otlp`, keyOf('acme', ['read']))
  expect(otlp.status).toBe(403)
  expect(JSON.parse(otlp.text).error).toMatchObject({ field: 'scope', value: 'content' })
  expect((await call('GET', `${path}?format=otlp`, keyOf('acme'))).text).toContain('ACME-TEXT')
  // The reason of a rescue is what a person wrote.
  const why = `/api/v1/traces/${dropped}/why`
  const asked = async () => {
    expect((await call('GET', why, keyOf('acme'))).text).toContain('"reason":"mine"')
  }
  await vi.waitFor(asked, { timeout: 30_000, interval: 200 })
  const shown = await call('GET', why, keyOf('acme', ['read']))
  expect(JSON.parse(shown.text).requests).toEqual([{ id: expect.any(String), reason: null }])
})

test.each(names)('%s: with the scope read, and no other, it has no text', async name => {
  const [method = ''] = name.split(' ')
  for (const { path, body } of cases[name] ?? []) {
    const told = await call(method, path, keyOf('acme', ['read']), body)
    expect(told.text, path).not.toContain('ACME-TEXT')
    expect(told.text, path).not.toContain('"reason":"mine"')
    expect(told.text, path).not.toMatch(/ACME-REASON|ACME-PERSON/)
  }
})

test('on the command line a key of another tenant, or without the scope content, gets no text', async () => {
  const url = `http://${running.api}`
  const commands = [
    ['trace', kept],
    ['trace', kept, '--json'],
    ['trace', kept, '--format', 'otlp'],
    ['why', kept],
    ['why', dropped],
    ['why', kept, '--json'],
    ['search'],
    ['search', '--json'],
    ['search', '--estimate', '--json'],
    ['sampling', '--json'],
    ['verify', '--json'],
    ['hold', 'list'],
  ]
  const owner = await winnow(['trace', kept, '--json', '--url', url, '--key', keyOf('acme')])
  expect(owner.stdout).toContain('ACME-TEXT')
  for (const args of commands) {
    const asked = async (key: string) => winnow([...args, '--url', url, '--key', key])
    const reader = await asked(keyOf('acme', ['read']))
    expect(reader.stdout + reader.stderr, args.join(' ')).not.toMatch(/ACME-TEXT|Asked for: mine/)
    if (args.join(' ') === `trace ${kept}`) {
      expect(reader.stdout).toContain('the text is for keys with the scope content')
    }
    const stranger = await asked(keyOf('beta'))
    expect(stranger.stdout + stranger.stderr, args.join(' ')).not.toMatch(/ACME/)
  }
})

test('verify over all tenants is for the scope admin', async () => {
  const path = '/api/v1/verify?tenants=all'
  const refused = await call(
    'GET',
    path,
    keyOf(
      'beta',
      scopes.filter(one => one !== 'admin'),
    ),
  )
  expect(refused.status).toBe(403)
  expect(JSON.parse(refused.text).error).toMatchObject({ field: 'scope', value: 'admin' })
  expect((await call('GET', path, keyOf('beta'))).text).toMatch(/"received":2/)
  expect((await call('GET', '/api/v1/verify?tenants=beta', keyOf('beta'))).status).toBe(400)
})

test('metrics and health need no key, and hold no text of a tenant', async () => {
  for (const path of ['/metrics', '/readyz', '/healthz']) {
    const response = await fetch(`http://${running.metrics}${path}`)
    expect(response.status).toBe(200)
    expect(await response.text()).not.toContain('ACME-TEXT')
  }
})
