import { z } from 'zod'

/** Rules times tenants that may have a ceiling of their own. */
export const ceilingsMax = 256

const name = z.string().trim().min(1).max(64)
const traces = z.int().min(1).max(1_000_000_000)

export const ceilingSchema = z
  .strictObject({
    /** Of which rule, by its name. */
    rule: name,
    /** Of one tenant; absent: of each tenant that has no line of its own. */
    tenant: z.string().min(1).max(256).optional(),
    /** Traces that the rule may keep in one minute, or one hour, of log time. */
    perMinute: traces.optional(),
    perHour: traces.optional(),
  })
  .refine(({ perMinute, perHour }) => (perMinute === undefined) !== (perHour === undefined), {
    error: 'wants perMinute or perHour, and not both',
  })

export type CeilingSpec = z.infer<typeof ceilingSchema>

/** Lines that name no rule of the policy, or the same rule and tenant as one before: index and sentence. */
export function ceilingMistakes(
  ceilings: readonly unknown[],
  names: readonly unknown[],
): { readonly at: number; readonly message: string }[] {
  const found: { at: number; message: string }[] = []
  const seen = new Set<string>()
  ceilings.forEach((ceiling, at) => {
    const { rule, tenant } = (ceiling ?? {}) as Partial<CeilingSpec>
    if (typeof rule === 'string' && !names.includes(rule)) {
      const list = names.filter(one => typeof one === 'string').join(', ')
      found.push({ at, message: `no rule is called ${JSON.stringify(rule)}; there are ${list}` })
    }
    const key = JSON.stringify([rule, tenant])
    if (seen.has(key)) found.push({ at, message: 'is listed before; keep one' })
    seen.add(key)
  })
  return found
}
