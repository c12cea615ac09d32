import { checkRun } from './check.ts'
import { Simulation } from './simulation.ts'
import { type Violation, World } from './world.ts'

export interface SeedRun {
  readonly seed: number
  readonly steps: number
  readonly violations: readonly Violation[]
  readonly coverage: ReadonlyMap<string, number>
}

/** One seed, one run, always the same. */
export async function runSeed(seed: number, tell?: (line: string) => void): Promise<SeedRun> {
  const world = new World(seed, tell)
  const simulation = new Simulation(world)
  await simulation.run()
  await checkRun(world, simulation.groups)
  return {
    seed,
    steps: world.steps,
    violations: world.violations,
    coverage: world.coverage,
  }
}
