import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { outcomesConfigSchema } from '../services/winnow/src/config/outcomes-config.ts'
import { type RunningWinnow, startWinnow } from './support/winnow-process.ts'

// docs/outcomes.md as a stranger follows it: every line of it in one shell, from top to bottom.

const root = resolve(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/outcomes.md'), 'utf8')
const lines = blocks('sh').flatMap(block => block.trim().split('\n'))
const [assignment = '', ...commands] = lines
const traceId = assignment.replace('TRACE=', '')
const shell = promisify(execFile)

let running: RunningWinnow

beforeAll(async () => {
  running = await startWinnow()
})

afterAll(async () => {
  await running.stop()
  running.clean()
})

test('every line of the page is answered as it says', { timeout: 120_000 }, async () => {
  const answers: string[] = []
  for (const command of commands.slice(0, -1)) answers.push(await run(command))
  const id = (own: string) => `${traceId}.${own}`
  const accepted = { evaluations: [{ id: id('survey-7'), state: 'accepted' }] }
  expect(answers.map(answer => JSON.parse(answer))).toEqual([
    accepted,
    {},
    {},
    {},
    { id: 'thumb-1' },
    {},
    accepted,
    { message: 'Score deleted successfully' },
  ])
  const last = commands.at(-1) ?? ''
  const wait = { timeout: 60_000, interval: 500 }
  const why = async () => JSON.parse(await run(last))
  await expect.poll(async () => (await why()).evaluations.length, wait).toBe(5)
  await expect.poll(async () => (await why()).retractions.length, wait).toBe(2)
  await expect.poll(async () => (await why()).spanCount, wait).toBe(1)
  const { state, variant, evaluations, retractions, rules } = await why()
  expect({ state, variant }).toEqual({ state: 'kept', variant: 'B' })
  const told = Object.fromEntries(
    evaluations.map((one: { name: string }) => [one.name, one] as const),
  )
  expect(told.csat).toMatchObject({ score: 1, state: 'applied', retracted: true })
  expect(told.thumb).toMatchObject({ passed: false, retracted: true })
  expect(told['feature_flag.evaluation']).toMatchObject({ experiment: 'terser', variant: 'B' })
  const sources = evaluations.map((one: { source?: string }) => one.source)
  expect(sources).toContain('span:00000000000000c1')
  expect(retractions.map((one: { id: string }) => one.id).sort()).toEqual([
    id('survey-7'),
    id('thumb-1'),
  ])
  const judge = rules.find((rule: { name: string }) => rule.name === 'judge-failed')
  expect(judge).toMatchObject({ matched: true, detail: { judged: 3 } })
  expect(JSON.stringify(await why())).not.toContain('not helpful')
})

test('its configuration is one', () => {
  const [text = ''] = blocks('yaml')
  expect(outcomesConfigSchema.parse(parse(text).outcomes)).toHaveLength(3)
})

function blocks(language: string): string[] {
  const fence = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g')
  return [...page.matchAll(fence)].map(([, block = '']) => block)
}

async function run(command: string): Promise<string> {
  const here = command
    .replace('http://127.0.0.1:4318', `http://${running.otlpHttp}`)
    .replace('http://127.0.0.1:4300', `http://${running.api}`)
  const { stdout } = await shell('bash', ['-c', `${assignment}\n${here}`])
  return stdout
}
