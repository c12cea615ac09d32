import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Metrics } from '@winnow/runtime'
import { expect, test } from 'vitest'
import { measureDisk } from './disk-space.ts'

const figureOf = async (metrics: Metrics, name: 'diskFree' | 'diskSize'): Promise<number> =>
  (await metrics[name].get()).values[0]?.value ?? Number.NaN

test('the disk of a folder has a size, and not more free than that', async () => {
  const metrics = new Metrics()
  await measureDisk(tmpdir(), metrics)
  const size = await figureOf(metrics, 'diskSize')
  expect(size).toBeGreaterThan(0)
  expect(await figureOf(metrics, 'diskFree')).toBeLessThanOrEqual(size)
})

test('a folder that is not there has no disk, and that is no error', async () => {
  const metrics = new Metrics()
  await measureDisk(join(tmpdir(), 'winnow-no-such-folder'), metrics)
  expect(await figureOf(metrics, 'diskSize')).toBeNaN()
})
