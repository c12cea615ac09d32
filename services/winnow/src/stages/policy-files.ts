import { readFileSync } from 'node:fs'
import { FileWatch, type Log, type Metrics, PipelineError } from '@winnow/runtime'
import { defaultPolicy, type Policy, parsePolicy, type Sampler } from '@winnow/sampler'
import type { Config } from '../program-config.ts'

type Files = Pick<Config, 'policy' | 'policyShadow'>

/**
 * The policies that the configuration names, read again whenever their files change. A file with mistakes
 * changes nothing, and is told: what was read last stays.
 */
export class PolicyFiles {
  readonly policy: Policy
  readonly shadow: Policy | undefined
  readonly #watches: readonly FileWatch[]
  readonly #parts: { readonly log: Log; readonly metrics: Metrics }
  readonly #refused = new Map<keyof Files, string>()
  #sampler: Pick<Sampler, 'usePolicy' | 'useShadow'> | undefined

  /** CONFIG_INVALID lists every mistake of a file. */
  constructor(
    { policy, policyShadow }: Files,
    parts: { readonly log: Log; readonly metrics: Metrics },
  ) {
    this.#parts = parts
    // Before they are read, so that no change goes by between.
    this.#watches = [
      ...this.#watch('policy', policy, next => this.#sampler?.usePolicy(next)),
      ...this.#watch('policyShadow', policyShadow, next => this.#sampler?.useShadow(next)),
    ]
    try {
      const configured = configuredPolicies({ policy, policyShadow })
      this.policy = configured.policy
      this.shadow = configured.shadow
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** Who is told of changes. */
  tell(sampler: Pick<Sampler, 'usePolicy' | 'useShadow'>): void {
    this.#sampler = sampler
  }

  /** Why a file is not what is used; undefined while all are. */
  get detail(): string | undefined {
    const [first] = this.#refused
    return first && `${first[0]}: ${first[1]} cannot be used; what was read of it before stays`
  }

  /** Looks at the files now. */
  async poll(): Promise<void> {
    await Promise.all(this.#watches.map(watch => watch.poll()))
  }

  close(): void {
    for (const watch of this.#watches) watch.close()
  }

  #watch(
    key: keyof Files,
    path: string | undefined,
    use: (policy: Policy) => void,
  ): readonly FileWatch[] {
    if (path === undefined) return []
    return [new FileWatch([path], () => this.#reload(key, path, use))]
  }

  #reload(key: keyof Files, path: string, use: (policy: Policy) => void): void {
    const { log, metrics } = this.#parts
    try {
      const policy = policyOf(key, path)
      use(policy)
      this.#refused.delete(key)
      metrics.policyReloads.inc({ key, result: 'read' })
      log.info('sampler.policy_file_read', { key, path, version: policy.version })
    } catch (error) {
      this.#refused.set(key, path)
      metrics.policyReloads.inc({ key, result: 'refused' })
      log.error('sampler.policy_file_refused', error, { key, path })
    }
  }
}

/** CONFIG_INVALID lists every mistake of a file. */
export function configuredPolicies({ policy, policyShadow }: Files): {
  readonly policy: Policy
  readonly shadow: Policy | undefined
} {
  return {
    policy: policy === undefined ? defaultPolicy : policyOf('policy', policy),
    shadow: policyShadow === undefined ? undefined : policyOf('policyShadow', policyShadow),
  }
}

function policyOf(key: keyof Files, path: string): Policy {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const reason = (cause as Error).message
    throw new PipelineError('CONFIG_INVALID', `${key}: cannot read ${path}: ${reason}`, { cause })
  }
  return parsePolicy(text, path)
}
