import { randomBytes } from 'node:crypto'
import { Metrics, type StageClock, systemClock } from '@winnow/runtime'
import { afterAll, onTestFinished } from 'vitest'
import type { OpenSearchHotStoreOptions } from '../../../packages/storage/src/opensearch/opensearch-hot-store.ts'
import { sharedOpenSearch } from './shared.ts'
import { ask, openTestStore, removeIndices } from './store.ts'

/** Pauses are over at once; what is asserted is what happens, not when. */
const hastyClock: StageClock = { nowMs: () => systemClock.nowMs(), sleep: async () => {} }

/** One node for the tests of a file, where one can be had, and stores on it, each with indices of its own. */
export async function openSearchGround() {
  const opensearch = await sharedOpenSearch()
  const url = opensearch?.url ?? ''
  const prefixes: string[] = []
  if (opensearch !== undefined) afterAll(() => removeIndices(url, prefixes))
  return {
    isThere: opensearch !== undefined,
    url,
    newPrefix: (): string => {
      const prefix = `test-${randomBytes(6).toString('hex')}`
      prefixes.push(prefix)
      return prefix
    },
    /** Closed with the test. `at`: another address than the node's. */
    openStore: async (
      indexPrefix: string,
      { at = url, ...options }: Partial<OpenSearchHotStoreOptions> & { at?: string } = {},
    ) => {
      const metrics = new Metrics()
      const store = await openTestStore(at, { indexPrefix, clock: hastyClock, metrics, ...options })
      onTestFinished(() => store.close())
      return { store, counted: (name: string) => countedBy(metrics, name) }
    },
    /** Documents of each kind of index, as the server counts them. */
    documents: async (prefix: string): Promise<Record<string, number>> => {
      await ask(url, 'POST', `/${prefix}-*/_refresh`)
      const counts: Record<string, number> = {}
      for (const kind of ['traces', 'spans', 'parts', 'text', 'rejected']) {
        const { body } = await ask<{ count: number }>(url, 'GET', `/${prefix}-${kind}-*/_count`)
        counts[kind] = body.count
      }
      return counts
    },
  }
}

/** Whether a request that came through a proxy brings documents. */
export function isBulk({ url }: { readonly url?: string | undefined }): boolean {
  return url?.startsWith('/_bulk') ?? false
}

/** A metric of one label, by that label's value. */
async function countedBy(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const all = await metrics.registry.getMetricsAsJSON()
  const { values = [] } = all.find(one => one.name === name) ?? {}
  return Object.fromEntries(
    values.map(({ labels, value }) => [String(Object.values(labels)[0] ?? ''), value]),
  )
}
