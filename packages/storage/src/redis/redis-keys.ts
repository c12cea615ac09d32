/** Names of what lies in Redis. The longest part is the same for every record of a partition. */
export class RedisKeys {
  /** By log id, by partition: a process has a few dozen. */
  readonly #prefixes = new Map<string, Map<number, string>>()

  record(logId: string, partition: number, offset: number): string {
    return this.#prefix(logId, partition) + offset
  }

  checkpoint(logId: string, partition: number): string {
    return `${this.#prefix(logId, partition)}checkpoint`
  }

  #prefix(logId: string, partition: number): string {
    let ofLog = this.#prefixes.get(logId)
    if (ofLog === undefined) {
      ofLog = new Map()
      this.#prefixes.set(logId, ofLog)
    }
    let prefix = ofLog.get(partition)
    if (prefix === undefined) {
      // A brace in a log id would end what a cluster places the key by.
      prefix = `winnow:{${encodeURIComponent(logId)}:${partition}}:`
      ofLog.set(partition, prefix)
    }
    return prefix
  }
}
