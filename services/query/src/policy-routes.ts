import { z } from 'zod'
import { ApiError } from './api-error.ts'
import type { Answer } from './routes.ts'
import { refuseUnknown } from './search.ts'

/** What of the fleet's policies the API shows and changes; whoever wires the stages has it. */
export interface Policies {
  show(): Promise<unknown>
  text(version: string): Promise<unknown>
  history(): Promise<readonly unknown[]>
  apply(request: PolicyChange): Promise<PolicyChanged>
  release(request: Pick<PolicyChange, 'author' | 'key' | 'message'>): Promise<PolicyChanged>
}

export type PolicyChanged =
  | { readonly kind: 'applied'; readonly applied: unknown; readonly before: string | null }
  | { readonly kind: 'mistakes'; readonly mistakes: readonly string[] }
  | { readonly kind: 'unknown'; readonly version: string }

const said = { author: z.string().optional(), message: z.string().optional() }

const changeSchema = z.strictObject({
  ...said,
  /** The file as it is. Without it and without `version` a shadow ends. */
  text: z.string().optional(),
  version: z.string().optional(),
  shadow: z.boolean().optional(),
  /** The configuration files have the word again. */
  release: z.literal(true).optional(),
})

export type PolicyChange = Omit<z.infer<typeof changeSchema>, 'release'> & {
  /** Name of the key it was asked with, where the author is another: nobody signs for others unseen. */
  readonly key?: string
}

export async function getPolicy(policies: Policies, query: URLSearchParams): Promise<Answer> {
  refuseUnknown(query, ['version'])
  const version = query.get('version')
  if (version === null) return { status: 200, body: await policies.show() }
  const text = await policies.text(version)
  if (text === undefined) throw unknownVersion(version)
  return { status: 200, body: text }
}

export async function getPolicyHistory(
  policies: Policies,
  query: URLSearchParams,
): Promise<Answer> {
  refuseUnknown(query, [])
  return { status: 200, body: { policies: await policies.history() } }
}

/** 202: it is in `control`, and every sampler follows. 422 with every mistake of the policy at once. */
export async function postPolicy(
  policies: Policies,
  keyName: string | undefined,
  body: unknown,
): Promise<Answer> {
  const parsed = changeSchema.safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path.join('.')
    throw new ApiError(400, 'INVALID_POLICY_REQUEST', `${issue?.message}; see policy-changes.md`, {
      field: field || 'body',
    })
  }
  const { release, ...change } = parsed.data
  const author = change.author ?? keyName
  const { message } = change
  const signed = {
    ...(author !== undefined && { author }),
    ...(message !== undefined && { message }),
    ...(keyName !== undefined && keyName !== author && { key: keyName }),
  }
  if (release !== undefined && (change.text ?? change.version ?? change.shadow) !== undefined) {
    const remedy = 'give it alone, with author and message at most'
    throw new ApiError(400, 'INVALID_POLICY_REQUEST', remedy, { field: 'release' })
  }
  const changed =
    release === true
      ? await policies.release(signed)
      : await policies.apply({ ...change, ...signed })
  if (changed.kind === 'unknown') throw unknownVersion(changed.version)
  if (changed.kind === 'applied') {
    return { status: 202, body: { applied: changed.applied, before: changed.before } }
  }
  const { mistakes } = changed
  const remedy = 'correct every line of `mistakes`; nothing was applied'
  const error = { code: 'POLICY_INVALID', field: 'text', remedy, mistakes }
  return { status: 422, body: { error } }
}

function unknownVersion(version: string): ApiError {
  const remedy =
    'there is no such version, or several begin so; GET /api/v1/policy/history lists them'
  return new ApiError(404, 'NO_SUCH_POLICY', remedy, { field: 'version', value: version })
}
