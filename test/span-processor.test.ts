// The span processor as an application has it: OpenTelemetry's own SDK and exporter, a running Winnow, and the packed file.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { SpanStatusCode } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { expect, onTestFinished, test, vi } from 'vitest'
import { RedactingSpanProcessor } from '../packages/span-processor/src/index.ts'
import { startWinnow } from './support/winnow-process.ts'

const secret = 'one secret for both sides'
const mail = 'maria.lopez@example.com'

test('what the application redacts and what the receiver redacts is the same token', async () => {
  const running = await startWinnow({ env: { WINNOW_PRIVACY_TOKEN_KEYS: secret } })
  onTestFinished(async () => {
    await running.stop()
    running.clean()
  })
  const exporter = new OTLPTraceExporter({ url: `http://${running.otlpHttp}/v1/traces` })
  const processor = new RedactingSpanProcessor(new BatchSpanProcessor(exporter), { secret })
  const resource = resourceFromAttributes({ 'service.name': 'shop' })
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] })
  const span = provider.getTracer('t').startSpan('chat', { attributes: { 'input.value': mail } })
  span.setStatus({ code: SpanStatusCode.ERROR, message: `no mailbox ${mail}` })
  span.end()
  await provider.forceFlush()
  const { traceId } = span.spanContext()
  const outcome = { traceId, name: 'csat', score: 2, comment: mail }
  await fetch(`http://${running.otlpHttp}/api/v1/evaluations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(outcome),
  })
  const stored = async (): Promise<string> => {
    const answer = await fetch(`http://${running.api}/api/v1/traces/${traceId}`)
    expect(answer.status).toBe(200)
    const text = await answer.text()
    expect(text).toContain('csat')
    return text
  }
  const text = await vi.waitFor(stored, { timeout: 60_000, interval: 300 })
  expect(text).not.toContain('maria')
  expect(text).toMatch(/no mailbox <email:e_0[0-9a-f]{11}>/)
  expect(new Set(text.match(/<email:\w+>/g)).size).toBe(1)
  await provider.shutdown()
})

test('packed, it is one file that an application installs and runs', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-packed-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const installed = join(folder, 'node_modules/@winnow/span-processor')
  mkdirSync(installed, { recursive: true })
  const pack = resolve(import.meta.dirname, '../packages/span-processor/pack.ts')
  const run = promisify(execFile)
  await run(process.execPath, [pack, installed])
  writeFileSync(join(folder, 'app.mjs'), app)
  const { stdout } = await run(process.execPath, [join(folder, 'app.mjs')])
  expect(stdout).toMatch(/^mail <email:e_0[0-9a-f]{11}>\n$/)
})

const app = `
import { RedactingSpanProcessor } from '@winnow/span-processor'
const nothing = async () => {}
const next = { onStart() {}, onEnd: span => console.log(span.name), forceFlush: nothing, shutdown: nothing }
const span = { attributes: {}, events: [], links: [], status: { code: 0 }, resource: {}, instrumentationScope: { name: 's' } }
new RedactingSpanProcessor(next, { secret: '${secret}' }).onEnd({ ...span, name: 'mail ${mail}' })
`
