import process from 'node:process'
import { expect } from 'vitest'

/** Skips with the reason; a failure where skips are not allowed, so that CI cannot turn quiet. */
export function refuse(skip: (note: string) => unknown, why: string): never {
  if (process.env.TEST_NO_SKIP === '1') expect.fail(why)
  skip(why)
  throw new Error(why)
}
