// The real assembler, sampler and writer under a seeded adversary; README.md says how.
import { expect, test } from 'vitest'
import { runSeed } from './run-seed.ts'

/** `.ci/run` asks for more. */
const seeds = Number(process.env.TEST_SEEDS ?? 200)

test(`in ${seeds} seeds every invariant holds at rest`, { timeout: 1_200_000 }, async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violations } = await runSeed(seed)
    const replay = `npm run simulate -- --seed ${seed} --story`
    expect(violations.slice(0, 5), replay).toEqual([])
  }
})

test('one seed is one run, always the same', async () => {
  const tell = async (): Promise<string[]> => {
    const story: string[] = []
    await runSeed(7, line => story.push(line))
    return story
  }
  const story = await tell()
  expect(story.length).toBeGreaterThan(100)
  expect(await tell()).toEqual(story)
})
