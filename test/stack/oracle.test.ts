// The same proof as test/oracle.test.ts, through a real broker.

import { randomUUID } from 'node:crypto'
import { test } from 'vitest'
import { expectAgreement } from '../support/expect-agreement.ts'
import { playQuickly } from '../support/seed-run.ts'
import { openBus } from './kafka/clients.ts'
import { sharedKafka } from './kafka/shared.ts'

const traces = 5_000
const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')

fact.for([
  { seed: 1, isVariantActive: false },
  { seed: 2, isVariantActive: true },
  { seed: 3, isVariantActive: false },
])('seed $seed on Kafka: the oracle agrees on every trace', async ({ seed, isVariantActive }) => {
  const prefix = `winnow-${randomUUID().slice(0, 8)}`
  const run = await playQuickly({ seed, traces, isVariantActive, prefix }, specs =>
    openBus(broker, specs),
  )
  await expectAgreement(run, isVariantActive)
})
