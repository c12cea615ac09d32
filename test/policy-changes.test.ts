import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OtlpClient, trace48fTwin, trace48fTwinId } from '@winnow/testing'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

// Policies changed while it runs: by their file, by the API and the command line, and in the shadow.

let running: RunningWinnow
let folder: string
let file: string

const policyText = (version: string, probability: number): string =>
  `version: ${version} # for the test\nrules:\n  - kind: span-error\n  - { kind: ordinary, probability: ${probability} }\n`

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-policy-'))
  file = join(folder, 'policy.yaml')
  writeFileSync(file, policyText('file', 0))
  const config = join(folder, 'winnow.yaml')
  writeFileSync(config, `policy: ${file}\n`)
  running = await startWinnow({ args: ['--config', config] })
})

afterAll(async () => {
  await running.stop()
  running.clean()
  rmSync(folder, { recursive: true })
})

const cli = (...args: string[]) => winnow([...args, '--url', `http://${running.api}`])
const becomes = (version: RegExp) =>
  vi.waitFor(
    async () => {
      const shown = await cli('policy', 'show', '--json')
      expect(JSON.parse(shown.stdout).inForce.version).toMatch(version)
    },
    { timeout: 30_000, interval: 300 },
  )
const readyz = async () => (await fetch(`http://${running.metrics}/readyz`)).text()

test('a file that changes is in force; one with mistakes is not, and that is told', async () => {
  await becomes(/^file-/)
  writeFileSync(file, policyText('file-two', 0))
  await becomes(/^file-two-/)
  writeFileSync(file, 'version: broken\nrules: [{ kind: nothing }]')
  await vi.waitFor(async () => expect(await readyz()).toContain('cannot be used'), {
    timeout: 30_000,
    interval: 300,
  })
  expect(await readyz()).toContain('"degraded":true')
  await becomes(/^file-two-/)
  writeFileSync(file, policyText('file-three', 0))
  await becomes(/^file-three-/)
  expect(await readyz()).not.toContain('cannot be used')
})

test('a policy is applied by the command line, with author and message, and decides what comes', async () => {
  const next = join(folder, 'next.yaml')
  writeFileSync(next, policyText('next', 1))
  const diff = await cli('policy', 'diff', 'live', next)
  expect(diff.code).toBe(1)
  expect(diff.stdout).toContain('~ ordinary         keeps 100 % of what it matches instead of 0 %')
  const applied = await cli('policy', 'apply', next, '--author', 'ada', '--message', 'keep all')
  expect(applied).toMatchObject({ code: 0 })
  expect(applied.stdout).toMatch(/^next-[0-9a-f]{8} is in force, after file-three-/)
  const shown = await cli('policy', 'show')
  expect(shown.stdout).toMatch(/# in force: .* by ada: keep all\nversion: next # for the test/)
  const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
  await client.sendTraces(trace48fTwin({ startMs: Date.now() }))
  client.close()
  await vi.waitFor(
    async () => {
      const why = JSON.parse((await cli('why', trace48fTwinId, '--json')).stdout)
      expect(why).toMatchObject({ state: 'kept', primary: 'ordinary' })
      expect(why.policyVersion).toMatch(/^next-/)
    },
    { timeout: 30_000, interval: 300 },
  )
})

test('a policy with mistakes is refused with all of them, and nothing is applied', async () => {
  const bad = join(folder, 'bad.yaml')
  writeFileSync(bad, 'version: bad\nrules:\n  - kind: nothing\n  - { kind: low-csat, atMost: 9 }\n')
  const refused = await cli('policy', 'apply', bad)
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('rules[0].kind')
  expect(refused.stderr).toContain('rules[1].atMost')
  expect(refused.stderr).toContain('end with `- kind: ordinary`')
  await becomes(/^next-/)
})

test('the file has no effect any more, until the policy is released', async () => {
  writeFileSync(file, policyText('file-four', 0.2))
  await vi.waitFor(() => expect(running.stderr()).toMatch(/policy_file_ignored.*file-four-/), {
    timeout: 30_000,
    interval: 300,
  })
  await becomes(/^next-/)
  expect((await cli('policy', 'release', '--author', 'ada')).stdout).toContain(
    'stays in force until',
  )
  writeFileSync(file, policyText('file-five', 0.2))
  await becomes(/^file-five-/)
})

test('a version of the history is put in force again, and a shadow begins and ends', async () => {
  const back = await cli('policy', 'apply', 'next-')
  expect(back.stdout).toMatch(/^next-\w+ is in force, after file-five-/)
  const shadow = await cli('policy', 'apply', '--shadow', file)
  expect(shadow.stdout).toMatch(/^file-five-\w+ runs in the shadow/)
  const both = await cli('policy', 'show')
  expect(both.stdout).toContain('# in the shadow: ')
  expect((await cli('policy', 'shadow-end')).stdout).toMatch(/^file-five-\w+ has ended/)
  const { policies } = JSON.parse((await cli('policy', 'history', '--json')).stdout)
  expect(policies[0]).toMatchObject({ kind: 'shadow', version: null })
  expect(policies.filter((one: { author?: string }) => one.author === 'ada')).toHaveLength(2)
  const missing = await cli('policy', 'apply', 'nowhere')
  expect(missing).toMatchObject({ code: 1 })
  expect(missing.stderr).toContain('NO_SUCH_POLICY')
  expect((await cli('policy', 'apply', 'nowhere.yaml')).stderr).toContain(
    'cannot read nowhere.yaml',
  )
})
