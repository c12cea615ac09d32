import { expect, test } from 'vitest'
import { Pipeline } from './pipeline.ts'
import { loadConfig } from './program-config.ts'
import { type StageName, stageNames } from './stages/stage.ts'

const config = (bus: string) =>
  loadConfig({ env: { WINNOW_BUS: bus }, options: {}, readFile: () => '' })

test('the file bus belongs to one process: one stage alone is refused with the remedy', () => {
  for (const name of stageNames) {
    expect(() => new Pipeline(config('file'), [name])).toThrow(
      `[CONFIG_INVALID] bus is file, which belongs to one process: run \`winnow up\`, or give \`winnow ${name}\` a bus that processes share: bus: kafka://HOST:PORT`,
    )
  }
  const fourOfFive: StageName[] = stageNames.filter(name => name !== 'query')
  expect(() => new Pipeline(config('file'), fourOfFive)).toThrow('CONFIG_INVALID')
})

test('all stages run on the file bus, and each alone on Kafka', () => {
  expect(new Pipeline(config('file'))).toBeInstanceOf(Pipeline)
  for (const name of stageNames) new Pipeline(config('kafka://127.0.0.1:9092'), [name])
})
