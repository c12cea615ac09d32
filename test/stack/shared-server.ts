import { afterAll, onTestFinished, test } from 'vitest'
import { refuse } from './refuse.ts'

/** A server that was started; else what this machine lacks for one. */
export type Started<Server extends TestServer> =
  | { readonly server: Server; readonly why?: undefined }
  | { readonly server?: undefined; readonly why: string }

interface TestServer {
  stop(): Promise<void>
}

/**
 * One server for the tests of a file, ended after them. Undefined where none can be had: the file
 * then has one test, skipped with the reason, or failed under `TEST_NO_SKIP=1`.
 */
export function shared<Server extends TestServer>(
  name: string,
  started: Started<Server>,
): Server | undefined {
  const { server, why } = started
  if (why !== undefined) {
    test(`needs ${name}: ${why}`, ({ skip }) => refuse(skip, why))
    return undefined
  }
  afterAll(() => server.stop())
  return server
}

/** A server for one test that cannot do without, ended with it. */
export function forTest<Server extends TestServer>(
  skip: (note: string) => unknown,
  started: Started<Server>,
): Server {
  const { server, why } = started
  if (why !== undefined) return refuse(skip, why)
  onTestFinished(() => server.stop())
  return server
}
