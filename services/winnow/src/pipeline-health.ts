import { Health, type HealthPart, type HealthReport } from '@winnow/runtime'
import type { Probe } from './probe.ts'
import type { RunningStage } from './stages/running-stage.ts'

/** Parts of a stage's report that are a service it stands on, by the keys that name them. */
const services = ['hot', 'blobs', 'buffer'] as const

const ready: HealthPart = { ready: true }

/**
 * A part for the bus, one for each service that a stage stands on and one for each stage: no stage is
 * ready while what it needs is silent.
 */
export function healthOf(stages: readonly RunningStage[], bus: Probe): Health {
  const health = new Health()
  health.register('bus', () => bus.read())
  for (const stage of stages) {
    health.register(stage.name, async () => {
      const { parts } = await stage.health()
      return worstOf([...Object.values(parts), await bus.read()])
    })
  }
  for (const name of services) {
    health.register(name, async () => {
      const reports = await Promise.all(stages.map(stage => stage.health()))
      const parts = reports.flatMap(report => partOf(report, name))
      return parts.length === 0 ? undefined : worstOf(parts)
    })
  }
  return health
}

function partOf(report: HealthReport, name: string): HealthPart[] {
  const part = report.parts[name]
  return part === undefined ? [] : [part]
}

/** What does without something is ready, and says so. */
function worstOf(parts: readonly HealthPart[]): HealthPart {
  return parts.find(part => !part.ready) ?? parts.find(part => part.detail !== undefined) ?? ready
}
