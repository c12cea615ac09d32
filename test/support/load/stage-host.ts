// A process with the first stages of the pipeline alone, on one thread, so that each stage's cost is
// the difference of two rows. Told by its argument which; says its address and ends on SIGTERM.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { type Bus, MemoryBus, topicSpecs } from '@winnow/bus'
import { createLog, Health, Metrics, systemClock } from '@winnow/runtime'
import { openBus } from '../../../services/winnow/src/open-bus.ts'
import { loadConfig } from '../../../services/winnow/src/program-config.ts'
import { makeStage, type Stage, type StageName } from '../../../services/winnow/src/stages/stage.ts'
import type { StageRow } from './stage-rows.ts'

const stagesOf: Readonly<Record<StageRow, readonly StageName[]>> = {
  'no-log': ['receiver'],
  log: ['receiver'],
  assembler: ['receiver', 'assembler'],
  sampler: ['receiver', 'assembler', 'sampler'],
}

const row = process.argv[2] as StageRow
const data = mkdtempSync(join(tmpdir(), 'winnow-stages-'))
const anyPort = '127.0.0.1:0'
const config = loadConfig({
  env: process.env,
  options: { data, otlpHttp: anyPort, otlpGrpc: anyPort },
  readFile: () => '',
})
const specs = topicSpecs({ ...config.topics, retentionMs: config.retention })
const log = createLog(systemClock)
const bus = row === 'no-log' ? nowhere() : await openBus(config, specs, log)
const topics = {
  spans: specs.spans.name,
  evidence: specs.evidence.name,
  decisions: specs.decisions.name,
  baselines: specs.baselines.name,
  control: specs.control.name,
}
const stages: Stage[] = []
for (const name of stagesOf[row].toReversed()) {
  const context = { config, bus, topics, keys: undefined, tls: undefined, log }
  const stage = await makeStage(name, { ...context, metrics: new Metrics(), health: new Health() })
  await stage.component.start()
  stages.unshift(stage)
}
process.send?.(stages[0]?.addresses?.().otlpHttp)
process.once('SIGTERM', () => {
  stop().then(
    () => process.exit(0),
    () => process.exit(1),
  )
})

async function stop(): Promise<void> {
  for (const { component } of stages) await component.stop()
  await bus.close()
  rmSync(data, { recursive: true, force: true })
}

function nowhere(): Bus {
  const memory = new MemoryBus(Object.values(specs), systemClock)
  let next = 0
  memory.append = async (_topic, _partition, records) => {
    next += records.length
    return next - records.length
  }
  return memory
}
