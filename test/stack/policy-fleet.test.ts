// Policies applied through the API to two samplers on a real broker, under traffic, one in five broken.

import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KafkaBus, topicSpecs } from '@winnow/bus'
import {
  type Claim,
  countingStart,
  countRecord,
  type Decision,
  parseDecisionHead,
} from '@winnow/model'
import { systemClock } from '@winnow/runtime'
import { defaultPolicy, PolicyDesk } from '@winnow/sampler'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type RunningTarget, startTarget, type TargetName } from '../support/winnow-process.ts'
import { sharedKafka } from './kafka/shared.ts'

const broker = (await sharedKafka()) ?? ''
const fact = test.runIf(broker !== '')
const partitions = 4
const changes = 100

const policyText = (n: number): string =>
  `version: p${n}\nrules:\n  - kind: span-error\n  - { kind: ordinary, probability: ${(n % 9) / 10} }\n`

async function started(prefix: string): Promise<Readonly<Record<string, RunningTarget>>> {
  const data = mkdtempSync(join(tmpdir(), 'winnow-policy-fleet-'))
  const env = {
    WINNOW_BUS: `kafka://${broker}`,
    WINNOW_TOPICS_PREFIX: prefix,
    WINNOW_TOPICS_PARTITIONS: String(partitions),
  }
  const targets: Record<string, RunningTarget> = {}
  onTestFinished(async () => {
    for (const target of Object.values(targets)) await target.stop()
    rmSync(data, { recursive: true, force: true })
  })
  for (const name of ['query', 'sampler', 'sampler-2', 'assembler', 'receiver']) {
    targets[name] = await startTarget(name.replace('-2', '') as TargetName, { data, env })
  }
  return targets
}

async function send(otlpHttp: string, count: number): Promise<void> {
  const now = BigInt(Date.now()) * 1_000_000n
  const spans = Array.from({ length: count }, () => ({
    traceId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    name: 'turn',
    kind: 1,
    startTimeUnixNano: String(now - 1_000_000n),
    endTimeUnixNano: String(now),
  }))
  const response = await fetch(`http://${otlpHttp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }),
  })
  expect(response.status).toBe(200)
}

type Placed = { readonly offset: number } & (Claim | Decision)

async function recordsOf(bus: KafkaBus, topic: string, partition: number): Promise<Placed[]> {
  const { first, end } = await bus.bounds(topic, partition)
  const records: Placed[] = []
  for (let next = first; next < end; ) {
    const batch = await bus.read(topic, partition, next, 1 << 22, 2_000)
    for (const { offset, value } of batch.records) {
      const parsed = parseDecisionHead(Buffer.from(value).toString())
      if (parsed.kind === 'record') records.push({ ...(parsed.record as Decision), offset })
      next = offset + 1
    }
  }
  return records
}

fact(
  `${changes} changes, one in five broken: both samplers decide with one version at every position`,
  { timeout: 600_000 },
  async () => {
    const prefix = `policy-${randomUUID().slice(0, 8)}`
    const targets = await started(prefix)
    const specs = topicSpecs({ prefix, generation: 1, partitions })
    const { control, decisions } = specs
    const brokers = [broker]
    const bus = await KafkaBus.open({ brokers, specs: Object.values(specs), clientId: 'fleet' })
    onTestFinished(() => bus.close())
    const api = `http://${targets.query?.api}/api/v1/policy`
    const versions = new Set([defaultPolicy.version])
    let sent = 0
    let last = ''
    for (let n = 0; n < changes; n++) {
      const isBroken = n % 5 === 4
      const text = isBroken ? `version: p${n}\nrules: [{ kind: nothing }]` : policyText(n)
      const answer = await fetch(api, { method: 'POST', body: JSON.stringify({ text }) })
      expect(answer.status).toBe(isBroken ? 422 : 202)
      if (isBroken) {
        const key = Buffer.from(`policy-applied/broken-${n}`)
        await bus.append(control.name, 0, [{ key, value: Buffer.from('{"v":1}') }])
      } else {
        const body = (await answer.json()) as { applied: { version: string } }
        last = body.applied.version
        versions.add(last)
      }
      await send(targets.receiver?.otlpHttp as string, 20)
      sent += 20
    }
    const all = async () => {
      const logs: Placed[][] = []
      for (let partition = 0; partition < partitions; partition++) {
        logs.push(await recordsOf(bus, decisions.name, partition))
      }
      return logs
    }
    const decided = await vi.waitFor(
      async () => {
        const logs = await all()
        const traces = logs.flat().flatMap(one => (one.kind === 'decision' ? [one.traceId] : []))
        expect(new Set(traces).size).toBe(sent)
        for (const log of logs) {
          const claim = log.findLast(one => one.kind === 'claim') as Claim
          expect(claim.policy).toBe(last)
        }
        return logs
      },
      { timeout: 240_000, interval: 1_000 },
    )
    const owners = new Set<string>()
    let claims = 0
    for (const log of decided) {
      let state = countingStart
      let claim: Claim | undefined
      for (const record of log) {
        const step = countRecord(state, record.offset, record)
        state = step.state
        if (record.kind === 'claim') {
          claims++
          owners.add(record.by)
          expect(record.policyAt).toBeGreaterThanOrEqual(claim?.policyAt ?? 0)
          claim = record
        } else if (step.counts) {
          expect(record.policyVersion).toBe(claim?.policy)
          expect(versions).toContain(record.policyVersion)
        }
      }
    }
    expect(owners.size).toBe(2)
    const desk = new PolicyDesk({ bus, control: control.name, clock: systemClock })
    expect((await desk.show()).inForce).toMatchObject({ version: last })
    for (const name of ['sampler', 'sampler-2']) {
      const readyz = await (await fetch(`http://${targets[name]?.metrics}/readyz`)).text()
      expect(readyz).toContain('"degraded":true')
      expect(readyz).toContain('control holds no policy at offset')
    }
    console.log(
      `${sent} traces, ${versions.size} versions, ${claims} claims of ${owners.size} samplers`,
    )
  },
)
