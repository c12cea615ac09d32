import { readFileSync, statSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { type ApiKeyEntries, apiKeysSchema } from './api-key-entries.ts'
import type { ApiKey, ApiKeys } from './api-keys.ts'
import { versionKey } from './config.ts'
import { PipelineError } from './errors.ts'
import { FileWatch } from './file-watch.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { yamlMistake, yamlTextMistake } from './yaml-text.ts'

/** Largest keys file, as JSON; as YAML the limits of every YAML file hold. */
export const keysFileBytesMax = 4 * 1024 * 1024

export interface KeyRingOptions {
  /** Of the configuration. */
  readonly keys?: ApiKeyEntries
  /** `{v: 1, keys: …}` as YAML or JSON, read again when it changes. */
  readonly keysFile?: string
  readonly log: Log
  /** Absent where another ring of this process counts. */
  readonly metrics?: Metrics
}

/**
 * The keys in force: those of the configuration, and those of a file that is read again when it changes, so
 * that a key is added or withdrawn without a restart. Of a key that both have, the file's entry counts. A
 * file that cannot be read, or has a mistake, leaves in force what it said last, and that is logged.
 */
export class KeyRing implements ApiKeys {
  readonly #options: KeyRingOptions
  readonly #watch: FileWatch | undefined
  #byHash: ReadonlyMap<string, ApiKey>

  /** Undefined where neither is configured. CONFIG_INVALID with the file's every mistake. */
  static open(options: KeyRingOptions): KeyRing | undefined {
    const { keys, keysFile } = options
    return keys === undefined && keysFile === undefined ? undefined : new KeyRing(options)
  }

  private constructor(options: KeyRingOptions) {
    const { keysFile } = options
    this.#options = options
    this.#watch =
      keysFile === undefined ? undefined : new FileWatch([keysFile], () => this.#reload())
    try {
      this.#byHash = this.#read()
    } catch (error) {
      this.#watch?.close()
      throw error
    }
  }

  get(hash: string): ApiKey | undefined {
    return this.#byHash.get(hash)
  }

  get size(): number {
    return this.#byHash.size
  }

  /** Whose keys they are. */
  get tenants(): ReadonlySet<string> {
    return new Set(Array.from(this.#byHash.values(), ({ tenant }) => tenant))
  }

  /** Looks at the file now. */
  async poll(): Promise<void> {
    await this.#watch?.poll()
  }

  close(): void {
    this.#watch?.close()
  }

  #read(): ReadonlyMap<string, ApiKey> {
    const { keys = {}, keysFile } = this.#options
    const ofFile = keysFile === undefined ? {} : readKeysFile(keysFile)
    return new Map(Object.entries({ ...keys, ...ofFile }))
  }

  #reload(): void {
    const { keysFile, log, metrics } = this.#options
    try {
      this.#byHash = this.#read()
      metrics?.reloads.inc({ what: 'keys', result: 'applied' })
      log.info('keys.reloaded', { file: keysFile, keys: this.#byHash.size })
    } catch (error) {
      metrics?.reloads.inc({ what: 'keys', result: 'refused' })
      log.error('keys.reload_refused', error, { file: keysFile, keys: this.#byHash.size })
    }
  }
}

const keysFileSchema = z.strictObject({ v: versionKey('keysFile'), keys: apiKeysSchema })

function readKeysFile(path: string): ApiKeyEntries {
  const refuse = (what: string, cause?: unknown): never => {
    throw new PipelineError('CONFIG_INVALID', `keysFile ${path}: ${what}`, { cause })
  }
  let text: string
  try {
    const { size } = statSync(path)
    if (size > keysFileBytesMax) refuse(`has ${size} bytes, more than ${keysFileBytesMax}`)
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof PipelineError) throw error
    const { code } = error as NodeJS.ErrnoException
    return refuse(`cannot be read (${code}); name a file with v: 1 and keys:`, error)
  }
  const result = keysFileSchema.safeParse(treeOf(text, refuse))
  if (result.success) return result.data.keys
  const [issue] = result.error.issues
  // Nothing of the file is shown: a key may stand where its hash belongs.
  return issue?.path[0] === 'keys' && issue.code === 'custom'
    ? refuse(`keys: ${issue.message}`)
    : refuse(
        'has to be v: 1 and keys:, each a SHA-256 with TENANT or { tenant, scopes: [ingest, …] }',
      )
}

function treeOf(text: string, refuse: (what: string) => never): unknown {
  if (text.trimStart().startsWith('{')) {
    try {
      return JSON.parse(text)
    } catch {
      return refuse('begins as JSON and is none; check it with a JSON tool')
    }
  }
  const mistake = yamlTextMistake(text)
  if (mistake !== undefined) return refuse(mistake)
  try {
    return parseYaml(text, { logLevel: 'error', prettyErrors: false })
  } catch (error) {
    return refuse(yamlMistake(error, text))
  }
}
