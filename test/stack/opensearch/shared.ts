import { type StartOpenSearchOptions, startOpenSearch, type TestOpenSearch } from '../opensearch.ts'
import { forTest, shared } from '../shared-server.ts'

/** One node for the tests of a file, as `shared` has it. */
export async function sharedOpenSearch(): Promise<TestOpenSearch | undefined> {
  return shared('OpenSearch', await startOpenSearch())
}

/** A node for one test that cannot do without, ended with it. */
export async function openSearchForTest(
  skip: (note: string) => unknown,
  options: StartOpenSearchOptions = {},
): Promise<TestOpenSearch> {
  return forTest(skip, await startOpenSearch(options))
}
