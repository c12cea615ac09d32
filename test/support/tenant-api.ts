import { Agent, request } from 'node:http'

export interface ApiAnswer {
  readonly status: number
  readonly text: string
}

/** The public API as the client of one tenant sees it. */
export class TenantApi {
  readonly #address: string
  readonly #key: string
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 })

  constructor(address: string, key: string) {
    this.#address = address
    this.#key = key
  }

  /** Rejects when no answer comes. */
  get(path: string): Promise<ApiAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<ApiAnswer>()
    const headers = { authorization: `Bearer ${this.#key}` }
    const sent = request(`http://${this.#address}${path}`, { agent: this.#agent, headers })
    sent.on('error', error => {
      // An idle connection that the server closed while this was written to it: nothing was asked yet.
      const isStale = sent.reusedSocket && Reflect.get(error, 'code') === 'ECONNRESET'
      if (isStale) resolve(this.get(path))
      else reject(error)
    })
    sent.on('response', response => {
      const chunks: Buffer[] = []
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
      })
    })
    sent.end()
    return promise
  }

  /** The body of a 200. */
  async read<T>(path: string): Promise<T> {
    const { status, text } = await this.get(path)
    if (status !== 200) throw new Error(`GET ${path} was answered with ${status}: ${text}`)
    return JSON.parse(text) as T
  }

  /** Every item of a list that comes in pages. */
  async *pages<T>(path: string): AsyncGenerator<T> {
    for (let cursor: string | undefined; ; ) {
      const rest = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`
      const page = await this.read<{ traces: T[]; cursor?: string }>(`${path}${rest}`)
      yield* page.traces
      if (page.cursor === undefined) return
      cursor = page.cursor
    }
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Maps with at most `width` calls under way; in the order of the items. */
export async function mapWide<T, R>(
  items: readonly T[],
  map: (item: T) => Promise<R>,
  width = 32,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++
      results[at] = await map(items[at] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker))
  return results
}
