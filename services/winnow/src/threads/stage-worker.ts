// The worker's side of a StageThread: makes the stage once the bus is there, answers asks.

import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { RemoteBus } from '@winnow/bus'
import { writePreviousFormats } from '@winnow/model'
import { overrideLevels } from '@winnow/privacy'
import type { PendingFacts } from '@winnow/query'
import { createLog, PipelineError, silentLog, systemClock } from '@winnow/runtime'
import { openEntrance } from '../entrance.ts'
import { LocalStage } from '../stages/local-stage.ts'
import type { FindPending } from '../stages/stage.ts'
import type { FromStage, StageData, StageError, ToStage } from './messages.ts'

const main = parentPort
if (main === null) throw new TypeError('a stage module runs in a worker thread')

const { name, knowsPending, ...data } = workerData as StageData
const log = createLog(systemClock)
writePreviousFormats(data.config.formats === 'previous')
overrideLevels(data.config.levels)
const asked = new Map<number, (facts: PendingFacts | undefined) => void>()
let nextId = 1
let stage: LocalStage | undefined

main.on('message', (message: ToStage) => {
  switch (message.kind) {
    case 'start':
      start(message.busPort).catch(fail)
      break
    case 'pending':
      asked.get(message.id)?.(message.facts)
      asked.delete(message.id)
      break
    case 'ask':
      answer(message.what).then(value => send({ kind: 'reply', id: message.id, value }), fail)
  }
})

async function start(busPort: MessagePort): Promise<void> {
  const bus = new RemoteBus(busPort)
  // The main thread reads the same files, and says what became of them.
  const { keys, tls } = openEntrance(data.config, { clock: systemClock, log: silentLog })
  stage = new LocalStage(name, { ...data, bus, keys, tls, log, ...(knowsPending && { pending }) })
  stage.failed.catch(fail)
  await stage.start()
  send({ kind: 'started', addresses: stage.addresses })
}

async function answer(what: 'stop' | 'metrics' | 'health'): Promise<unknown> {
  return stage?.[what]()
}

const pending: FindPending = (tenant, traceId) => {
  const id = nextId++
  const reply = new Promise<PendingFacts | undefined>(resolve => asked.set(id, resolve))
  send({ kind: 'askPending', id, tenant, traceId })
  return reply
}

function fail(error: unknown): void {
  // The process ends with the message of these, and it says all.
  const { syscall } = Object(error) as StageError
  if (!(error instanceof PipelineError) && syscall === undefined) log.error('thread.failed', error)
  send({ kind: 'failed', error: stageError(error) })
}

function send(message: FromStage): void {
  main?.postMessage(message)
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
