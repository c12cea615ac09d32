import {
  OpenSearchHotStore,
  type OpenSearchHotStoreOptions,
} from '../../../packages/storage/src/opensearch/opensearch-hot-store.ts'

/** A store that writes, with what the program's configuration has by default, but for copies: there is one node. */
export function openTestStore(
  url: string,
  options: Partial<OpenSearchHotStoreOptions> & Pick<OpenSearchHotStoreOptions, 'indexPrefix'>,
): Promise<OpenSearchHotStore> {
  return OpenSearchHotStore.open({
    nodes: [url],
    requestTimeoutMs: 30_000,
    shards: 1,
    replicas: 0,
    bulkBytesMax: 8 * 1024 * 1024,
    putsInFlightMax: 2,
    mayWrite: true,
    ...options,
  })
}

export async function removeIndices(url: string, prefixes: readonly string[]): Promise<void> {
  for (const prefix of prefixes) {
    await ask(url, 'DELETE', `/${prefix}-*`)
    await ask(url, 'DELETE', `/_index_template/${prefix}-*`)
    await ask(url, 'DELETE', `/_component_template/${prefix}-*`)
  }
}

/** Asks the server itself, past the store. */
export async function ask<T = unknown>(
  url: string,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly status: number; readonly body: T }> {
  const reply = await fetch(`${url}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: reply.status, body: (await reply.json()) as T }
}
