import type { HealthPart } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { healthOf } from './pipeline-health.ts'
import { Probe } from './probe.ts'
import type { RunningStage } from './stages/running-stage.ts'
import type { StageName } from './stages/stage.ts'

const bus = new Probe({ what: 'the bus', ask: async () => {} })

const stage = (name: StageName, parts: Readonly<Record<string, HealthPart>>): RunningStage => ({
  name,
  failed: new Promise(() => {}),
  addresses: {},
  start: async () => {},
  stop: async () => {},
  metrics: async () => [],
  health: async () => ({
    ready: Object.values(parts).every(part => part.ready),
    degraded: false,
    parts,
  }),
})

const up: HealthPart = { ready: true }
const without: HealthPart = { ready: true, detail: 'trace buffer: refused' }
const down: HealthPart = { ready: false, detail: 'the hot store does not answer' }

test('a service that a stage needs and that is down is named, with the stages that need it', async () => {
  const health = healthOf(
    [stage('sampler', { blobs: up }), stage('writer', { hot: down, blobs: up, buffer: up })],
    bus,
  )
  expect(await health.read()).toEqual({
    ready: false,
    degraded: false,
    parts: { bus: up, sampler: up, writer: down, hot: down, blobs: up, buffer: up },
  })
})

test('without what it only wants it is ready and degraded; what nobody stands on is no part', async () => {
  const health = healthOf([stage('assembler', { buffer: without })], bus)
  expect(await health.read()).toEqual({
    ready: true,
    degraded: true,
    parts: { bus: up, assembler: without, buffer: without },
  })
})
