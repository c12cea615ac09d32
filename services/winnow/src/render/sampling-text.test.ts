import type { SamplingReport } from '@winnow/query'
import { expect, test } from 'vitest'
import { samplingText } from './sampling-text.ts'

const report: SamplingReport = {
  since: null,
  kept: 3,
  dropped: 7,
  awaiting: 0,
  gone: 0,
  servicesOmitted: 0,
  forgotten: 0,
  keptRatio: 0.3,
  rules: [
    { name: 'a-rule-of-ones-own-with-a-long-name', primary: 2, any: 2, keptRatio: 0.2 },
    { name: 'ordinary', primary: 1, any: 10, keptRatio: 0.1 },
  ],
  services: [
    { service: 'a-service-of-which-the-name-is-long', kept: 2, dropped: 3, keptRatio: 0.4 },
    { service: '', kept: 1, dropped: 4, keptRatio: 0.2 },
  ],
}

test('numbers stand below each other, however long a name is', () => {
  const text = samplingText(report)
  expect(text).toMatch(/^3 of 10 traces kept \(30 %\)/)
  const ends = (pattern: RegExp) =>
    text.split('\n').flatMap(line => pattern.exec(line)?.[0].length ?? [])
  expect(new Set(ends(/^ {2}(?:rule|a-rule\S*|ordinary) +\S+ +\S+/)).size).toBe(1)
  expect(new Set(ends(/^ {2}(?:service|a-service\S*|\(none\)) +\S+ +\S+/)).size).toBe(1)
})

test('what the counts lack is said: services that are not listed, traces that are not remembered', () => {
  expect(samplingText(report)).not.toMatch(/more/)
  const [service] = report.services
  const services = Array.from({ length: 25 }, () => service as NonNullable<typeof service>)
  const text = samplingText({ ...report, services, servicesOmitted: 7, forgotten: 40 })
  expect(text).toMatch(/^ {2}and 12 services more$/m)
  expect(text).toMatch(/^40 more were decided and are no longer remembered/m)
})
