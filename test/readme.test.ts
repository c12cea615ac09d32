import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { tracesToJson } from '@winnow/otlp'
import { trace48f } from '@winnow/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningWinnow, startWinnow } from './support/winnow-process.ts'

const root = resolve(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const shell = promisify(execFile)

/** Every line of every `sh` block, without its comment. */
const commands = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)]
  .flatMap(([, block = '']) => block.split('\n'))
  .map(line => line.replace(/ +# .*$/, '').trim())
  .filter(line => line !== '')

/** Commands that are run as a whole elsewhere: by `.ci/run`, which runs this test as well. */
const runByCi = [
  'npm ci && npm test',
  'npm run demo -- --exit --kafka',
  // test/stack/stack-command.test.ts
  'npm run -s stack > stack.env &',
  'set -a; . ./stack.env; set +a; npx winnow up',
]

/** Nobody runs these: there is no container engine. test/stack/compose.test.ts runs what they would start. */
const notRun = ['docker compose up --build --wait']

/** Where README's addresses lead in this test. */
let running: RunningWinnow
let folder: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'winnow-readme-'))
  running = await startWinnow()
})

afterAll(async () => {
  await running.stop()
  running.clean()
  rmSync(folder, { recursive: true })
})

test('the README has commands, and names no script that is not there', () => {
  expect(commands.length).toBeGreaterThan(10)
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const [, name = ''] of readme.matchAll(/npm run ([\w:]+)/g))
    expect(scripts, name).toHaveProperty(name)
})

for (const command of commands) {
  if ([...runByCi, ...notRun, 'npx winnow up'].includes(command)) continue
  test(`README: ${command}`, { timeout: 120_000 }, async () => {
    const { stdout } = await run(command)
    if (command.startsWith('npx winnow why')) {
      expect(withoutPast(stdout)).toContain(withoutPast(blockAfter('Winnow:')))
    }
    if (command.startsWith('npm')) expect(stdout).toContain(blockAfter('Winnow:').split('\n')[2])
    if (command.includes('/why')) expect(JSON.parse(stdout)).toMatchObject({ state: 'kept' })
    if (command.includes('9464')) expect(stdout).toContain('winnow_spans_received_total')
  })
}

test('npx winnow up listens where the README says', async () => {
  const { code, stderr } = await startDefault()
  expect(stderr).toMatch(
    /OTLP gRPC 127\.0\.0\.1:4317, OTLP HTTP 127\.0\.0\.1:4318, API http:\/\/127\.0\.0\.1:4300, metrics http:\/\/127\.0\.0\.1:9464/,
  )
  expect(code).toBe(0)
})

test('the example trace is trace 48f', () => {
  const example = readFileSync(join(root, 'docs/examples/trace-48f.json'), 'utf8')
  expect(JSON.parse(example)).toEqual(JSON.parse(tracesToJson(trace48f())))
})

test('every file that a page names is there', () => {
  for (const page of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md']) {
    const text = readFileSync(join(root, page), 'utf8')
    for (const [, target = ''] of text.matchAll(/\]\(([^)#:]+)\)/g)) {
      expect(existsSync(join(root, dirname(page), target)), `${page}: ${target}`).toBe(true)
    }
  }
})

/** As a shell runs it from the checkout, after the `npm ci` that this test runs under. */
async function run(command: string): Promise<{ stdout: string }> {
  const here = command
    .replace('npm ci && ', '')
    .replace('http://127.0.0.1:4318', `http://${running.otlpHttp}`)
    .replace('http://127.0.0.1:4300', `http://${running.api}`)
    .replace('http://127.0.0.1:9464', `http://${running.metrics}`)
  const looks = /^npx winnow (cost|audit)/.test(here) ? ` --data ${running.data}` : ''
  const asks = /^npx winnow (?!policy|cost|audit)/.test(here)
    ? ` --url http://${running.api}`
    : looks
  // The waits of this test are short; the README's are not.
  const text = here === 'sleep 8' ? 'sleep 4' : `${here}${asks}`
  const env = { ...process.env, NO_UPDATE_NOTIFIER: '1' }
  return shell('bash', ['-c', text], { cwd: root, env, maxBuffer: 1 << 24 })
}

/** `winnow up` with nothing said, in an empty folder, until it says that it is ready. */
async function startDefault(): Promise<{ code: number | null; stderr: string }> {
  const program = join(root, 'services/winnow/bin/winnow.mjs')
  const child = spawn(process.execPath, [program, 'up'], { cwd: folder })
  let stderr = ''
  let isTold = false
  child.stderr.on('data', chunk => {
    stderr += chunk
    // A second one would end it at once.
    if (isTold || !stderr.includes('winnow is ready')) return
    isTold = child.kill('SIGTERM')
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, stderr }
}

/** The first fenced block after a line that ends so. */
function blockAfter(ending: string): string {
  const at = readme.indexOf(`${ending}\n`)
  return readme.slice(at).split('```\n')[1] ?? ''
}

/** What other traces of the run were seen before, and the hash of the policy, are not of this trace. */
function withoutPast(text: string): string {
  return text
    .replaceAll(/\d+ traces of/g, 'n traces of')
    .replaceAll(/default-[0-9a-f]{8}/g, 'default-h')
    .trim()
}
