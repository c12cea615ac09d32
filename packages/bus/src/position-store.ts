import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { acceptsVersion, readVersions, writtenVersion } from '@winnow/model'
import { PipelineError } from '@winnow/runtime'
import type { Position } from './bus.ts'
import { type LogIo, writeWhole } from './log-io.ts'

/** Whose position it is. The log's id, not its name: a topic made again starts without positions. */
export interface PositionOwner {
  readonly logId: string
  readonly group: string
  readonly partition: number
}

interface Entry extends PositionOwner {
  /** What the next owner starts from. */
  position: Position
  /** What survives a crash; undefined before the first sync. */
  durable: Position | undefined
}

/**
 * Where groups stand, with their notes. One text file for all topics, appended to and synced when
 * idle, like a log: a line is the crc32 of its JSON in hex, a space, the JSON. The last line of an
 * owner counts; a torn one does not. When much of it is outdated, or after any error, the file is
 * written anew and renamed, which is safe even after a failed sync.
 */
export class PositionStore {
  readonly #folder: string
  readonly #io: LogIo
  readonly #bytesMax: number
  #rewriteAtBytes = 0
  readonly #entries: Map<string, Entry>
  #file: FileHandle | undefined
  #bytes = 0
  readonly #dirty = new Map<string, Entry>()
  #asked: PromiseWithResolvers<void> | undefined
  #running: Promise<void> | undefined

  private constructor(folder: string, io: LogIo, bytesMax: number, entries: Map<string, Entry>) {
    this.#folder = folder
    this.#io = io
    this.#bytesMax = bytesMax
    this.#entries = entries
  }

  static async open(folder: string, io: LogIo, bytesMax: number): Promise<PositionStore> {
    const file = await open(join(folder, positionsFileName), 'a+')
    const text = await file.readFile('utf8').finally(() => file.close())
    const entries = text === '' ? new Map<string, Entry>() : parsePositions(text, folder)
    const store = new PositionStore(folder, io, bytesMax, entries)
    await store.#rewrite()
    return store
  }

  get(owner: PositionOwner): Position | undefined {
    return this.#entries.get(idOf(owner))?.position
  }

  /** Resolves once the position is durable with its note; BUS_UNAVAILABLE: nobody knows, ask again. */
  set(owner: PositionOwner, position: Position): Promise<void> {
    const id = idOf(owner)
    const entry: Entry = this.#entries.get(id) ?? { ...owner, position, durable: undefined }
    entry.position = position
    this.#entries.set(id, entry)
    this.#dirty.set(id, entry)
    this.#asked ??= Promise.withResolvers()
    this.#running ??= this.#run()
    return this.#asked.promise
  }

  /** The durable positions of every group that ever had one in this log, by group. */
  durableOf(logId: string): Map<string, Map<number, number>> {
    const groups = new Map<string, Map<number, number>>()
    for (const entry of this.#entries.values()) {
      if (entry.logId !== logId || entry.durable === undefined) continue
      const offsets = groups.get(entry.group) ?? new Map<number, number>()
      groups.set(entry.group, offsets.set(entry.partition, entry.durable.offset))
    }
    return groups
  }

  async close(): Promise<void> {
    await this.#running
    await this.#file?.close()
    this.#file = undefined
  }

  /** One write and one sync for all that was asked for while the one before was under way. */
  async #run(): Promise<void> {
    // Commits of one turn of the event loop share the sync.
    await new Promise(resolve => setImmediate(resolve))
    for (let asked = this.#asked; asked !== undefined; asked = this.#asked) {
      this.#asked = undefined
      const dirty = [...this.#dirty.values()]
      this.#dirty.clear()
      const written = dirty.map(entry => entry.position)
      try {
        await this.#write(dirty)
        dirty.forEach((entry, at) => {
          entry.durable = written[at]
        })
        asked.resolve()
      } catch (cause) {
        await this.#file?.close().catch(() => undefined)
        this.#file = undefined
        asked.reject(
          new PipelineError('BUS_UNAVAILABLE', `positions in ${this.#folder} were not written`, {
            cause,
          }),
        )
      }
    }
    this.#running = undefined
  }

  async #write(dirty: readonly Entry[]): Promise<void> {
    if (this.#file === undefined || this.#bytes > this.#rewriteAtBytes) return this.#rewrite()
    const bytes = Buffer.from(dirty.map(lineOf).join(''))
    await this.#io.write(this.#file, bytes, 0, bytes.length, this.#bytes)
    await this.#io.sync(this.#file)
    this.#bytes += bytes.length
  }

  async #rewrite(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    const path = join(this.#folder, positionsFileName)
    const bytes = Buffer.from(head() + [...this.#entries.values()].map(lineOf).join(''))
    await writeWhole(path, this.#folder, bytes)
    this.#file = await open(path, 'r+')
    this.#bytes = bytes.length
    this.#rewriteAtBytes = Math.max(this.#bytesMax, 2 * bytes.length)
  }
}

export const positionsFileName = 'positions.log'
const head = (): string => lineFor({ v: writtenVersion('positions'), format: 'winnow positions' })

/** Where groups stand, as the file in `folder` says it now; nothing is held or changed. */
export async function readPositions(
  folder: string,
): Promise<(owner: PositionOwner) => Position | undefined> {
  const text = await readFile(join(folder, positionsFileName), 'utf8')
  const entries = parsePositions(text, folder)
  return owner => entries.get(idOf(owner))?.position
}

function parsePositions(text: string, folder: string): Map<string, Entry> {
  const [first, ...lines] = text.split('\n')
  const opening = jsonOf(`${first}`)
  const path = join(folder, positionsFileName)
  if (opening === undefined || typeof opening.v !== 'number') {
    throw new PipelineError(
      'DATA_CORRUPT',
      `${path} does not begin as a file of positions; restore it`,
    )
  }
  if (!acceptsVersion('positions', opening.v)) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `${path} has format v ${opening.v}, this release reads v ${readVersions('positions')}; run the release that wrote it`,
    )
  }
  const entries = new Map<string, Entry>()
  for (const line of lines) {
    const entry = entryOf(jsonOf(line))
    if (entry === undefined) break
    entries.set(idOf(entry), entry)
  }
  return entries
}

function entryOf(json: Record<string, unknown> | undefined): Entry | undefined {
  if (json === undefined) return undefined
  const { logId, group, partition, offset, note } = json
  if (typeof logId !== 'string' || typeof group !== 'string' || typeof note !== 'string') return
  if (typeof partition !== 'number' || typeof offset !== 'number') return
  const position = { offset, note }
  return { logId, group, partition, position, durable: position }
}

function lineOf({ logId, group, partition, position }: Entry): string {
  return lineFor({ logId, group, partition, ...position })
}

function lineFor(value: object): string {
  const json = JSON.stringify(value)
  return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`
}

function jsonOf(line: string): Record<string, unknown> | undefined {
  const json = line.slice(9)
  if (crc32(json).toString(16).padStart(8, '0') !== line.slice(0, 8)) return undefined
  const value: unknown = JSON.parse(json)
  return typeof value === 'object' ? (value as Record<string, unknown>) : undefined
}

const idOf = ({ logId, group, partition }: PositionOwner): string =>
  JSON.stringify([logId, group, partition])
