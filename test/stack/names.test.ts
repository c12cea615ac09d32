// Names by Presidio's own analyzer: its places, its lists of texts, its refusals, and its end.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { KeyValue } from '@winnow/otlp'
import { Presidio } from '@winnow/privacy'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type RunningWinnow, startWinnow, winnow } from '../support/winnow-process.ts'
import { pythonEnvironment } from './python/environment.ts'
import { refuse } from './refuse.ts'

const made = await pythonEnvironment('presidio.txt')
const fact = test.runIf('python' in made)

test('Presidio is to be had', ({ skip }) => {
  if ('why' in made) refuse(skip, made.why)
})

const names = ['Maria Lopez', 'José Núñez', '李小龙']

interface Analyzer {
  readonly url: string
  readonly port: number
  kill9(): Promise<void>
}

async function startAnalyzer(port = 0): Promise<Analyzer> {
  if ('why' in made) throw new Error(made.why)
  const script = join(import.meta.dirname, 'python', 'analyzer.py')
  const child: ChildProcess = spawn(made.python, [script, String(port), ...names], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  onTestFinished(async () => {
    child.stdin?.end()
    child.kill('SIGKILL')
    await exited
  })
  if (child.stdout === null) throw new Error('no output')
  const [line] = (await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    exited.then(() => Promise.reject(new Error('the analyzer ended at its start'))),
  ])) as [string]
  const kill9 = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return { url: `http://127.0.0.1:${line}`, port: Number(line), kill9 }
}

const said = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })

async function send(to: RunningWinnow, digit: string, texts: readonly string[]): Promise<void> {
  const nowMs = Date.now()
  const span = {
    traceId: digit.repeat(32),
    spanId: digit.repeat(16),
    name: 'chat',
    kind: 2,
    startTimeUnixNano: `${nowMs}000000`,
    endTimeUnixNano: `${nowMs + 5}000000`,
    status: { code: 2 },
    attributes: texts.map((text, n) => said(`gen_ai.prompt.${n}.content`, text)),
  }
  const resource = { attributes: [said('service.name', 'shop')] }
  const answer = await fetch(`http://${to.otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ spans: [span] }] }] }),
  })
  expect([answer.status, await answer.text()]).toEqual([200, '{}'])
}

/** Its texts, once it is kept. */
async function textsOf(to: RunningWinnow, digit: string, count: number): Promise<string[]> {
  return vi.waitFor(
    async () => {
      const answer = await fetch(`http://${to.api}/api/v1/traces/${digit.repeat(32)}`)
      expect(answer.status).toBe(200)
      const body = await answer.text()
      const found = [
        ...body.matchAll(
          /"gen_ai\.prompt\.(\d+)\.content"[^"]*(?:"value"[^"]*)?(?:"stringValue"[^"]*)?("(?:[^"\\]|\\.)*")/g,
        ),
      ]
      expect(found.length, body).toBeGreaterThanOrEqual(count)
      return found
        .toSorted((a, b) => Number(a[1]) - Number(b[1]))
        .map(one => JSON.parse(one[2] ?? '') as string)
    },
    { timeout: 90_000, interval: 500 },
  )
}

fact(
  'its places are code points, of one text and of a list, whatever stands in front',
  async () => {
    const { url } = await startAnalyzer()
    const presidio = new Presidio({ url, entities: ['PERSON'], scoreMin: 0.5, connectionsMax: 2 })
    onTestFinished(() => presidio.close())
    const texts = [
      '😀🏴󠁧󠁢󠁥󠁮󠁧󠁿 𠮷 Maria Lopez',
      'e\u0301 José Núñez, 李小龙 ',
      'nobody at all',
      '\ufffd\u0000\r\n\u2028 Maria Lopez',
    ]
    const signal = AbortSignal.timeout(60_000)
    const several = await presidio.find({ texts, language: 'en', signal })
    if (several.kind !== 'found') throw new Error(several.detail)
    const shown = several.spans.map((spans, at) =>
      spans?.map(({ start, end }) => [...(texts[at] ?? '')].slice(start, end).join('')).sort(),
    )
    expect(shown).toEqual([['Maria Lopez'], ['José Núñez', '李小龙'], [], ['Maria Lopez']])
    for (const [at, text] of texts.entries()) {
      const one = await presidio.find({ texts: [text], language: 'en', signal })
      expect(one).toMatchObject({ kind: 'found', spans: [several.spans[at]] })
    }
    expect(await presidio.find({ texts, language: 'xx', signal })).toMatchObject({
      kind: 'failed',
      reason: 'refused',
      detail: 'status 500',
    })
  },
)

fact(
  'names become tokens while it is there, nothing passes while it is not, and then they are tokens again',
  async () => {
    const first = await startAnalyzer()
    const env = {
      WINNOW_PRIVACY_NAMES_URL: first.url,
      WINNOW_PRIVACY_NAMES_WAIT_MAX: '60s',
      WINNOW_PRIVACY_NAMES_FAILURES_MAX: '1',
      WINNOW_PRIVACY_NAMES_PAUSE: '100ms',
    }
    const doctor = await winnow(['doctor'], { ...env, WINNOW_DATA: './none-of-it' })
    expect(doctor.stdout).toMatch(/✓ privacy\.names\.url .*answers for en/)
    const running = await startWinnow({ env })
    onTestFinished(async () => {
      await running.stop()
      running.clean()
    })
    const texts = [
      '😀 Maria Lopez asked',
      JSON.stringify([{ role: 'user', content: 'I am José Núñez\nand "李小龙"' }]),
      'mail m.lopez@example.com of Maria Lopez',
    ]
    await send(running, 'a', texts)
    const [plain, json, mail] = await textsOf(running, 'a', 3)
    expect(plain).toMatch(/^😀 <person:e_\w{12}> asked$/)
    const [{ role, content }] = JSON.parse(json ?? '[{}]') as [{ role: string; content: string }]
    expect(role).toBe('user')
    expect(content).toMatch(/^I am <person:e_\w{12}>\nand "<person:e_\w{12}>"$/)
    expect(mail).toMatch(/^mail <email:e_\w{12}> of <person:e_\w{12}>$/)
    const token = /<person:\w+>/
    expect(token.exec(mail ?? '')?.[0]).toBe(token.exec(plain ?? '')?.[0])
    await first.kill9()
    await send(running, 'b', texts)
    expect(await textsOf(running, 'b', 3)).toEqual([
      '<unscanned>',
      '[{"role":"user","content":"<unscanned>"}]',
      '<unscanned>',
    ])
    await startAnalyzer(first.port)
    await send(running, 'c', texts)
    expect(await textsOf(running, 'c', 3)).toEqual([plain, json, mail])
  },
)
