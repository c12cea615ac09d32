import { OtlpClient, type OtlpTransport } from '@winnow/testing'
import { expect } from 'vitest'
import type { Entrances } from '../crash/traffic.ts'
import { type Canaries, marker, plantedLogs, plantedTraces } from './canaries.ts'

const transports: readonly OtlpTransport[] = ['grpc', 'http-protobuf', 'http-json']
export const traceIdOf = (n: number): string => `c${n}`.padEnd(32, '5')

/** Spans, logs and outcomes with canaries, by every transport; everything that was answered, for the search. */
export async function sendPlanted(
  to: Entrances,
  canaries: Canaries,
  apiKey?: string,
): Promise<string> {
  const headers = {
    'content-type': 'application/json',
    ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
  }
  const call = (url: string, body: unknown): Promise<Response> =>
    fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const { otlpGrpc, otlpHttp, api } = to
  const answers: string[] = []
  for (const [n, transport] of transports.entries()) {
    const address = transport === 'grpc' ? otlpGrpc : otlpHttp
    const client = new OtlpClient({ transport, address, ...(apiKey !== undefined && { apiKey }) })
    const traces = await client.sendTraces(plantedTraces(canaries, traceIdOf(n), Date.now()))
    answers.push(JSON.stringify(traces))
    const logs = await client.sendLogs(plantedLogs(canaries, traceIdOf(n), Date.now()))
    answers.push(JSON.stringify(logs))
    client.close()
  }
  const traceId = traceIdOf(0)
  const evaluation = () => ({
    traceId,
    name: 'csat',
    score: 2,
    source: canaries.plant('source').slice(0, 60),
    comment: `${marker} ${canaries.plant('comment')}`,
  })
  for (const url of [`http://${otlpHttp}/api/v1/evaluations`, `http://${api}/api/v1/evaluations`]) {
    const taken = await call(url, evaluation())
    expect(taken.status).toBe(202)
    answers.push(await taken.text())
    const wrong = { traceId: canaries.plant('wrong id'), [canaries.plant('wrong field')]: 1 }
    answers.push(await (await call(url, wrong)).text())
  }
  const score = { traceId, name: 'judge', value: 1, comment: canaries.plant('score comment') }
  answers.push(await (await call(`http://${otlpHttp}/api/public/scores`, score)).text())
  const reason = { reason: canaries.plant('reason of a rescue') }
  answers.push(await (await call(`http://${api}/api/v1/traces/${traceId}/rescue`, reason)).text())
  const refused = [
    { resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: canaries.plant('bad trace id') }] }] }] },
    {
      resourceSpans: [
        { scopeSpans: [{ spans: [{ name: { x: 1 }, kind: canaries.plant('kind') }] }] },
      ],
    },
    { resourceSpans: canaries.plant('no list') },
  ]
  for (const body of refused) {
    answers.push(await (await call(`http://${otlpHttp}/v1/traces`, body)).text())
  }
  return answers.join('\n')
}
