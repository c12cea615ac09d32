import process from 'node:process'
import {
  type NativeOpenSearchOptions,
  nativeOpenSearch,
  startNativeOpenSearch,
} from './opensearch/native.ts'
import type { Started } from './shared-server.ts'

/** A running node. Whoever started it ends it; one named by `TEST_OPENSEARCH` is left running. */
export interface TestOpenSearch {
  /** `http://host:port`, as `WINNOW_HOT` takes it. */
  readonly url: string
  readonly version: string
  /** Ends the process without a farewell; what it had acknowledged stays on its disk. */
  kill9(): Promise<void>
  /** On the same address and data, after `kill9`; resolves once its shards answer. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface StartOpenSearchOptions extends NativeOpenSearchOptions {
  /** A node of its own, which the test may kill: never the one that `TEST_OPENSEARCH` names. */
  readonly fresh?: boolean
}

/**
 * A real node: the one that `TEST_OPENSEARCH` names, else a process from Maven's jars, of the newest
 * release that the JDKs of this machine run. Undefined: none can be had here, and `why` says what is missing.
 */
export async function startOpenSearch(
  options: StartOpenSearchOptions = {},
): Promise<Started<TestOpenSearch>> {
  const named = process.env.TEST_OPENSEARCH
  if (named !== undefined && !options.fresh && options.settings === undefined) {
    return { server: namedOpenSearch(named) }
  }
  const found = nativeOpenSearch()
  return 'why' in found ? found : { server: await startNativeOpenSearch(found, options) }
}

function namedOpenSearch(url: string): TestOpenSearch {
  const notOurs = async (): Promise<void> => {
    throw new Error('the node of TEST_OPENSEARCH is not ours to kill: start one with `fresh: true`')
  }
  return { url, version: 'named', kill9: notOurs, restart: notOurs, stop: async () => {} }
}
