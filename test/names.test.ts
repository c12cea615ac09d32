// Names of people are nowhere: planted wherever people write, by every transport, looked for in every byte left behind.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AnyValue, KeyValue, LogsData, TracesData } from '@winnow/otlp'
import { OtlpClient } from '@winnow/testing'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startDetector } from '../packages/privacy/src/names/detector.fixture.ts'
import { marker, readings, textKeys } from './support/canaries.ts'
import { type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

const transports = ['grpc', 'http-protobuf', 'http-json'] as const
const traceIdOf = (n: number): string => `d${n}`.padEnd(32, '7')
const none = { droppedAttributesCount: 0 }

/** Names that nobody has, each one once. */
class People {
  readonly names: string[] = []

  next(): string {
    const letters = [...String(1_000 + this.names.length)].map(digit => 'aeioulmnrt'[Number(digit)])
    const name = `Quirin${letters.join('')} Béllvoix-${letters.toReversed().join('')}`
    this.names.push(name)
    return name
  }
}

const styles: readonly ((name: string) => string)[] = [
  name => `${marker}: 😀 ${name} asked.`,
  name => JSON.stringify([{ role: 'user', content: `${marker}\n${name}\t.` }]),
  name => JSON.stringify({ body: JSON.stringify({ text: `from ${name}` }) }),
  name => `{"text":"${[...name].map(escaped).join('')}"}`,
  name => JSON.stringify({ text: `to ${name}, and some more` }).slice(0, -8),
  name => name,
]

function escaped(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

const keys = [...textKeys, 'user.name', 'app.unheard.of']

const said = (key: string, stringValue: string): KeyValue => ({ key, value: { stringValue } })

function traces(people: People, traceId: string): TracesData {
  let style = 0
  const text = (): string =>
    (styles[style++ % styles.length] as (name: string) => string)(people.next())
  const nested: AnyValue = {
    arrayValue: {
      values: [
        { stringValue: text() },
        { kvlistValue: { values: [said('service.name', text())] } },
        { bytesValue: Buffer.from(text()) },
      ],
    },
  }
  const attributes = [
    ...[...keys, ...keys].map(key => said(key, text())),
    { key: 'app.nested', value: nested },
    said('session.id', `${'word '.repeat(12)}${people.next()}`),
  ]
  const startTimeUnixNano = BigInt(Date.now()) * 1_000_000n
  const span = {
    traceId,
    spanId: `bb${traceId.slice(2, 16)}`,
    parentSpanId: '',
    traceState: '',
    name: 'chat',
    kind: 2,
    flags: 0,
    startTimeUnixNano,
    endTimeUnixNano: startTimeUnixNano + 5_000_000n,
    attributes,
    ...none,
    events: [
      {
        timeUnixNano: startTimeUnixNano,
        name: 'exception',
        attributes: [said('exception.message', text())],
        ...none,
      },
    ],
    droppedEventsCount: 0,
    links: [
      {
        traceId: 'ab'.repeat(16),
        spanId: 'cd'.repeat(8),
        traceState: '',
        attributes: [said('why', text())],
        flags: 0,
        ...none,
      },
    ],
    droppedLinksCount: 0,
    status: { code: 2, message: text() },
  }
  const resource = {
    attributes: [said('service.name', 'name-shop'), said('process.command_line', text())],
    ...none,
  }
  const scope = { name: 'scope', version: '1', attributes: [said('note', text())], ...none }
  return {
    resourceSpans: [
      { resource, scopeSpans: [{ scope, spans: [span], schemaUrl: '' }], schemaUrl: '' },
    ],
  } as TracesData
}

function logs(people: People, traceId: string): LogsData {
  const record = {
    timeUnixNano: BigInt(Date.now()) * 1_000_000n,
    observedTimeUnixNano: 0n,
    severityNumber: 9,
    severityText: '',
    body: { stringValue: `${marker} ${people.next()}` },
    attributes: [
      said('gen_ai.evaluation.name', 'judge'),
      said('gen_ai.evaluation.score.label', 'fail'),
      said('gen_ai.evaluation.explanation', `${marker} ${people.next()}`),
    ],
    ...none,
    flags: 0,
    traceId,
    spanId: '',
    eventName: 'gen_ai.evaluation.result',
  }
  const scope = { name: 'judge', version: '', attributes: [], ...none }
  const resource = { attributes: [said('service.name', 'name-judge')], ...none }
  return {
    resourceLogs: [
      { resource, scopeLogs: [{ scope, logRecords: [record], schemaUrl: '' }], schemaUrl: '' },
    ],
  } as LogsData
}

/** Sends names by every way in; everything that was answered. All of it is acknowledged. */
async function send(to: RunningWinnow, people: People): Promise<string> {
  const answers: string[] = []
  for (const [n, transport] of transports.entries()) {
    const address = transport === 'grpc' ? to.otlpGrpc : to.otlpHttp
    const client = new OtlpClient({ transport, address })
    for (const answer of [
      await client.sendTraces(traces(people, traceIdOf(n))),
      await client.sendLogs(logs(people, traceIdOf(n))),
    ]) {
      expect(answer).toMatchObject({ acknowledged: true, rejected: 0 })
      answers.push(JSON.stringify(answer))
    }
    client.close()
  }
  const traceId = traceIdOf(0)
  const call = async (url: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    answers.push(`${answer.status} ${await answer.text()}`)
    expect(answer.ok, answers.at(-1)).toBe(true)
  }
  for (const host of [to.otlpHttp, to.api]) {
    const comment = `${marker} ${people.next()}`
    await call(`http://${host}/api/v1/evaluations`, { traceId, name: 'csat', score: 2, comment })
  }
  const score = { traceId, name: 'judge', value: 1, comment: people.next() }
  await call(`http://${to.otlpHttp}/api/public/scores`, score)
  return answers.join('\n')
}

function filesUnder(top: string): string[] {
  const found = readdirSync(top, { recursive: true, withFileTypes: true })
  return found.filter(one => one.isFile()).map(one => join(one.parentPath, one.name))
}

/** What of the names can be read: whole, or half. */
function seenIn(where: string, bytes: Buffer, people: People): string[] {
  const seen: string[] = []
  for (const reading of readings(bytes)) {
    for (const needle of ['Quirin', 'Béllvoix', '\\u0051\\u0075\\u0069']) {
      if (reading.includes(needle)) seen.push(`${where}: ${needle}`)
    }
  }
  expect(people.names.length).toBeGreaterThan(90)
  return seen
}

async function run(url: string, data: string): Promise<RunningWinnow> {
  const env = { WINNOW_PRIVACY_NAMES_URL: url, WINNOW_PRIVACY_NAMES_WAIT_MAX: '30s' }
  return startWinnow({ data, env })
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'winnow-names-'))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** Until every trace can be opened. */
async function opened(to: RunningWinnow): Promise<string> {
  const texts: string[] = []
  for (const [n] of transports.entries()) {
    await vi.waitFor(
      async () => {
        const answer = await fetch(`http://${to.api}/api/v1/traces/${traceIdOf(n)}`)
        expect(answer.status).toBe(200)
        texts.push(await answer.text())
      },
      { timeout: 90_000, interval: 500 },
    )
  }
  return texts.join('\n')
}

async function everythingSeen(to: RunningWinnow, data: string, people: People, texts: string) {
  const metrics = await (await fetch(`http://${to.metrics}/metrics`)).text()
  const ready = await (await fetch(`http://${to.metrics}/readyz`)).text()
  const seen = [
    ...seenIn('an answer', Buffer.from(texts), people),
    ...seenIn('the metrics', Buffer.from(metrics + ready), people),
    ...seenIn('the log', Buffer.from(to.stderr()), people),
    ...filesUnder(data).flatMap(path =>
      seenIn(path.slice(data.length), readFileSync(path), people),
    ),
  ]
  await to.stop()
  seen.push(
    ...filesUnder(data).flatMap(path =>
      seenIn(path.slice(data.length), readFileSync(path), people),
    ),
  )
  return { seen: [...new Set(seen)], metrics, ready }
}

test('names wherever people write are in no byte that is left behind, and can still be told apart', async () => {
  const people = new People()
  const detector = await startDetector(people.names)
  onTestFinished(() => detector.close())
  const data = folder()
  const running = await run(detector.url, data)
  const answers = await send(running, people)
  const texts = await opened(running)
  const { seen, metrics } = await everythingSeen(running, data, people, answers + texts)
  expect(seen).toEqual([])
  expect(texts).toContain(marker)
  expect(new Set(texts.match(/<person:e_[0-9a-f]{12}>/g)).size).toBeGreaterThan(90)
  expect(texts).not.toContain('<unscanned>')
  expect(metrics).toMatch(/winnow_redacted_total\{.*kind="person".*service="name-shop"/)
  expect(metrics).not.toContain('winnow_unscanned_texts_total{')
})

test('with the detector down everything is acknowledged, kept and explained, and no name passes', async () => {
  const people = new People()
  const detector = await startDetector([])
  const data = folder()
  const running = await run(detector.url, data)
  await detector.close()
  const doctor = await winnow(['doctor', '--data', data], {
    WINNOW_PRIVACY_NAMES_URL: detector.url,
  })
  expect(doctor.code).toBe(1)
  expect(doctor.stdout).toMatch(/✗ privacy\.names\.url .*ECONNREFUSED/)
  const answers = await send(running, people)
  const texts = await opened(running)
  const why = await fetch(`http://${running.api}/api/v1/traces/${traceIdOf(0)}/why`)
  expect(await why.text()).toContain('span-error')
  const { seen, metrics, ready } = await everythingSeen(running, data, people, answers + texts)
  expect(seen).toEqual([])
  expect(texts).toContain('<unscanned>')
  expect(texts).not.toContain(marker)
  expect(metrics).toMatch(/winnow_unscanned_texts_total\{tenant="default",reason="down"\} \d+/)
  expect(ready).toContain('the detector of names fails')
})

test('without a detector the same search finds them', async () => {
  const people = new People()
  const data = folder()
  const running = await startWinnow({ data })
  await send(running, people)
  await running.stop()
  const found = filesUnder(data).flatMap(path => seenIn('', readFileSync(path), people))
  expect(new Set(found).size).toBeGreaterThan(1)
})
