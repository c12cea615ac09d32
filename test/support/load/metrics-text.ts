/** The figures of one scrape of `/metrics`. */
export class Scrape {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** Sum over all labels; 0 where the metric is absent. */
  sum(name: string): number {
    let sum = 0
    for (const [, value] of this.#lines(name)) sum += value
    return sum
  }

  /** By the text of its labels. */
  by(name: string): ReadonlyMap<string, number> {
    return new Map(this.#lines(name))
  }

  /** The quantile of what a histogram counted since `before`, by a line through its bucket. */
  quantile(name: string, share: number, before: Scrape): number {
    const old = before.by(`${name}_bucket`)
    const buckets = [...this.#lines(`${name}_bucket`)].map(([labels, count]) => ({
      upTo: Number(/le="([^"]+)"/.exec(labels)?.[1]?.replace('+Inf', 'Infinity')),
      count: count - (old.get(labels) ?? 0),
    }))
    const wanted = share * (buckets.at(-1)?.count ?? 0)
    let from = 0
    let below = 0
    for (const { upTo, count } of buckets) {
      if (count >= wanted && count > below) {
        const part = Number.isFinite(upTo) ? (wanted - below) / (count - below) : 0
        return part === 0 ? from : from + part * (upTo - from)
      }
      from = upTo
      below = count
    }
    return 0
  }

  *#lines(name: string): Generator<[labels: string, value: number]> {
    for (const line of this.#text.split('\n')) {
      if (!line.startsWith(name)) continue
      const match = /^[^{ ]+(\{.*\})? ([^ ]+)$/.exec(line)
      if (match === null || line.slice(0, name.length + 1).match(/[{ ]$/) === null) continue
      yield [match[1] ?? '', Number(match[2])]
    }
  }
}

export async function scrape(address: string): Promise<Scrape> {
  const response = await fetch(`http://${address}/metrics`)
  return new Scrape(await response.text())
}

/** Of several processes, each of which shows figures that the others do not have. */
export async function scrapeAll(addresses: readonly string[]): Promise<Scrape> {
  const texts = addresses.map(async address => (await fetch(`http://${address}/metrics`)).text())
  return new Scrape((await Promise.all(texts)).join('\n'))
}
