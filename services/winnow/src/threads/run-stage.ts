import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { type Bus, RemoteBus } from '@winnow/bus'
import type { PendingFacts } from '@winnow/query'
import { type Component, createLog, Health, type Log, Metrics, systemClock } from '@winnow/runtime'
import type { FromStage, StageData, StageError, ToStage } from './messages.ts'

export interface StageContext extends StageData {
  readonly bus: Bus
  readonly log: Log
  readonly metrics: Metrics
  readonly health: Health
  readonly pending: (tenant: string, traceId: string) => Promise<PendingFacts | undefined>
}

export interface Stage {
  readonly component: Component
  /** Rejects when the stage cannot go on. */
  readonly failed?: Promise<never>
  /** Where it listens, once started. */
  readonly address?: () => string
  /** After the component has stopped: close what it stood on. */
  readonly close?: () => Promise<void>
}

/** The worker's side of a StageThread: makes the stage once the bus is there, answers asks. */
export function runStage(make: (context: StageContext) => Promise<Stage>): void {
  const port = parentPort
  if (port === null) throw new TypeError('a stage module runs in a worker thread')
  const send = (message: FromStage): void => port.postMessage(message)
  const log = createLog(systemClock)
  const metrics = new Metrics()
  const health = new Health()
  const asked = new Map<number, (facts: PendingFacts | undefined) => void>()
  let nextId = 1
  let stage: Stage | undefined
  const fail = (error: unknown): void => {
    log.error('thread.failed', error)
    send({ kind: 'failed', error: stageError(error) })
  }
  const pending: StageContext['pending'] = (tenant, traceId) => {
    const id = nextId++
    const reply = new Promise<PendingFacts | undefined>(resolve => asked.set(id, resolve))
    send({ kind: 'askPending', id, tenant, traceId })
    return reply
  }
  const start = async (busPort: MessagePort): Promise<void> => {
    const bus = new RemoteBus(busPort)
    stage = await make({ ...(workerData as StageData), bus, log, metrics, health, pending })
    stage.failed?.catch(fail)
    await stage.component.start()
    send({ kind: 'started', address: stage.address?.() })
  }
  const answer = async (what: 'stop' | 'metrics' | 'health'): Promise<unknown> => {
    if (what === 'metrics') return metrics.registry.getMetricsAsJSON()
    if (what === 'health') return health.read()
    await stage?.component.stop()
    await stage?.close?.()
    return undefined
  }
  port.on('message', (message: ToStage) => {
    if (message.kind === 'start') start(message.busPort).catch(fail)
    else if (message.kind === 'pending') {
      asked.get(message.id)?.(message.facts)
      asked.delete(message.id)
    } else {
      answer(message.what).then(value => send({ kind: 'reply', id: message.id, value }), fail)
    }
  })
}

function stageError(error: unknown): StageError {
  if (!(error instanceof Error)) return { message: String(error) }
  const { code, syscall, port, hostname } = error as StageError & Error
  return {
    message: error.message,
    ...(code !== undefined && { code }),
    ...(syscall !== undefined && { syscall }),
    ...(port !== undefined && { port }),
    ...(hostname !== undefined && { hostname }),
  }
}
