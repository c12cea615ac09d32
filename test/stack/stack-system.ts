import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type System, targetsSystem } from '../crash/systems.ts'
import type { TargetName } from '../support/winnow-process.ts'
import { refuse } from './refuse.ts'
import { startStack, type TestStack } from './stack.ts'

const everyStage: readonly TargetName[] = ['query', 'writer', 'sampler', 'assembler', 'receiver']

/** The four servers for one test, ended with it. */
export async function stackForTest(skip: (note: string) => unknown): Promise<TestStack> {
  const started = await startStack({ fresh: true })
  if (started.stack === undefined) return refuse(skip, started.why)
  const { stack } = started
  onTestFinished(() => stack.stop())
  return stack
}

/** Two processes of every stage on the servers, ended with the test. `env` comes before the stack's own. */
export async function twoOfEach(
  { env }: Pick<TestStack, 'env'>,
  changed: Readonly<Record<string, string>> = {},
): Promise<System> {
  const prefix = `stack-${randomUUID().slice(0, 8)}`
  const system = await targetsSystem(env.WINNOW_BUS ?? '', prefix, {
    env: { ...env, WINNOW_OPENSEARCH_INDEX_PREFIX: prefix, ...changed },
    twice: everyStage,
  })
  onTestFinished(() => system.remove())
  return system
}
