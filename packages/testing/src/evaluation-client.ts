import { setTimeout as sleep } from 'node:timers/promises'
import { evaluationBody, type TrafficEvaluation } from './traffic-verdicts.ts'

export interface EvaluationTarget {
  /** `host:port` of the API or of OTLP over HTTP: both take evaluations. */
  readonly address: string
  readonly apiKey?: string
  /** Sends in all, where the server answers 429 or 503. */
  readonly attemptsMax?: number
  readonly wait?: (ms: number) => Promise<unknown>
}

/** Posts evaluations of one tenant in one request and returns the last answer. Rejects when none comes. */
export async function postEvaluations(
  target: EvaluationTarget,
  evaluations: readonly TrafficEvaluation[],
): Promise<{ readonly status: number; readonly body: unknown }> {
  const { address, apiKey, attemptsMax = 5, wait = sleep } = target
  for (let attempts = 1; ; attempts++) {
    const response = await fetch(`http://${address}/api/v1/evaluations`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify(evaluations.map(evaluationBody)),
    })
    const text = await response.text()
    const isBusy = response.status === 429 || response.status === 503
    if (!isBusy || attempts >= attemptsMax) {
      return { status: response.status, body: text === '' ? null : JSON.parse(text) }
    }
    await wait(Number(response.headers.get('retry-after') ?? '1') * 1_000)
  }
}
