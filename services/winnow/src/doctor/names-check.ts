import { languagesOf, presidioOf } from '../config/names-config.ts'
import type { Config } from '../program-config.ts'
import { type Check, type Finding, failed, ok } from './finding.ts'

/** A person who gave up waiting asks again; a receiver does so after `privacy.names.waitMax`. */
const answerWaitMs = 10_000

/** A text of nobody's. */
const example = 'Jane Doe asked when her order would arrive.'

/** Asks the detector of names what is in a text that holds one, in every language that it will be asked in. */
export function namesChecks(config: Config): Check[] {
  const { url } = config.privacy.names
  return url === undefined
    ? []
    : [{ key: 'privacy.names.url', look: () => lookAtNames(config, url) }]
}

async function lookAtNames(config: Config, url: string): Promise<Finding[]> {
  const detector = presidioOf(config)
  if (detector === undefined) return []
  try {
    const findings: Finding[] = []
    for (const language of languagesOf(config)) {
      const askedAt = performance.now()
      const signal = AbortSignal.timeout(answerWaitMs)
      const answer = await detector.find({ texts: [example], language, signal })
      const ms = (performance.now() - askedAt).toFixed(1)
      const isWell = answer.kind === 'found' && !answer.spans.includes(undefined)
      findings.push(
        isWell
          ? ok('privacy.names.url', `${url}: answers for ${language} in ${ms} ms`)
          : failed(
              'privacy.names.url',
              `${url}: no use for ${language}: ${answer.kind === 'failed' ? answer.detail : 'a place that is none in the text'}`,
              'start it, or correct url, token or language; until then texts become <unscanned>',
            ),
      )
    }
    return findings
  } finally {
    detector.close()
  }
}
