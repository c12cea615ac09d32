import { afterAll, onTestFinished, test } from 'vitest'
import { type StartOpenSearchOptions, startOpenSearch, type TestOpenSearch } from '../opensearch.ts'
import { refuse } from '../refuse.ts'

/**
 * One node for the tests of a file, ended after them. Undefined where none can be had: the file then
 * has one test, skipped with the reason, or failed under `TEST_NO_SKIP=1`.
 */
export async function sharedOpenSearch(): Promise<TestOpenSearch | undefined> {
  const started = await startOpenSearch()
  if (started.opensearch !== undefined) {
    const { opensearch } = started
    afterAll(() => opensearch.stop())
    return opensearch
  }
  const { why } = started
  test(`needs OpenSearch: ${why}`, ({ skip }) => refuse(skip, why))
  return undefined
}

/** A node for one test that cannot do without, ended with it. */
export async function openSearchForTest(
  skip: (note: string) => unknown,
  options: StartOpenSearchOptions = {},
): Promise<TestOpenSearch> {
  const started = await startOpenSearch(options)
  if (started.opensearch === undefined) return refuse(skip, started.why)
  const { opensearch } = started
  onTestFinished(() => opensearch.stop())
  return opensearch
}
