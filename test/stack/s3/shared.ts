import { afterAll, onTestFinished, test } from 'vitest'
import { refuse } from '../refuse.ts'
import { type StartS3Options, startS3, type TestS3 } from '../s3.ts'

/**
 * One server for the tests of a file, ended after them. Undefined where none can be had: the file
 * then has one test, skipped with the reason, or failed under `TEST_NO_SKIP=1`.
 */
export async function sharedS3(options: StartS3Options = {}): Promise<TestS3 | undefined> {
  const started = await startS3(options)
  if (started.s3 !== undefined) {
    const { s3 } = started
    afterAll(() => s3.stop())
    return s3
  }
  const { why } = started
  test(`needs S3: ${why}`, ({ skip }) => refuse(skip, why))
  return undefined
}

/** A server for one test that cannot do without, ended with it. */
export async function s3ForTest(
  skip: (note: string) => unknown,
  options: StartS3Options = {},
): Promise<TestS3> {
  const started = await startS3(options)
  if (started.s3 === undefined) return refuse(skip, started.why)
  const { s3 } = started
  onTestFinished(() => s3.stop())
  return s3
}
