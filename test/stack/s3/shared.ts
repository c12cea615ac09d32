import { type StartS3Options, startS3, type TestS3 } from '../s3.ts'
import { forTest, shared } from '../shared-server.ts'

/** One server for the tests of a file, as `shared` has it. */
export async function sharedS3(options: StartS3Options = {}): Promise<TestS3 | undefined> {
  return shared('S3', await startS3(options))
}

/** A server for one test that cannot do without, ended with it. */
export async function s3ForTest(
  skip: (note: string) => unknown,
  options: StartS3Options = {},
): Promise<TestS3> {
  return forTest(skip, await startS3(options))
}
