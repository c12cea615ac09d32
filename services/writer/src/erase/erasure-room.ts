import { levelOf } from '@winnow/privacy'
import { PipelineError } from '@winnow/runtime'
import {
  type Erasure,
  erasuresMax,
  erasuresOfTenantMax,
  erasureTracesMax,
  erasureTracesOfTenantMax,
  erasureUnconfirmedMax,
  hasRemoved,
} from './erasure-record.ts'
import type { Erasures } from './erasures.ts'

/**
 * Why so many traces are not removed, or not now; undefined where they are. A refusal says that nothing was removed: where
 * an earlier pass removed some, it throws, so that the erasure stays what it is and goes on once it can.
 */
export function refusalOf(erasures: Erasures, erasure: Erasure, found: number): string | undefined {
  const why = unconfirmed(erasure, found) ?? roomMistake(erasures, erasure, found)
  if (why !== undefined && hasRemoved(erasure)) throw new PipelineError('CONFIG_INVALID', why)
  return why
}

/** Why so many traces are not erased before somebody has said that so many are meant; undefined where they are. */
export function unconfirmed(
  { field, tracesMax }: Pick<Erasure, 'field' | 'tracesMax'>,
  found: number,
): string | undefined {
  const isOfNobody = field !== 'trace.id' && levelOf(field) === 'structural'
  // Who names a number means it, also where it is lower than what needs none.
  if (found <= (tracesMax ?? (isOfNobody ? 0 : erasureUnconfirmedMax))) return undefined
  const reason = isOfNobody
    ? `${field} is structural, it names no subject`
    : tracesMax !== undefined
      ? `at the most ${tracesMax} were meant`
      : `more than ${erasureUnconfirmedMax} have to be confirmed`
  return `it concerns ${found} traces, and ${reason}: none of them was removed; if so many are meant, ask again with "tracesMax": ${found} (--traces-max ${found})`
}

/** Why so many traces cannot be blocked now, and what to do; undefined where they can. */
export function roomMistake(
  erasures: Erasures,
  { id, tenant }: Pick<Erasure, 'id' | 'tenant'>,
  found: number,
): string | undefined {
  if (found > erasureTracesOfTenantMax) {
    return `it concerns ${found} traces, and of one tenant ${erasureTracesOfTenantMax} may be blocked at once: ask for its parts, one after another, by an attribute that fewer traces have (session.id) or by trace.id`
  }
  // What an earlier attempt of its own has blocked is among those that were found.
  const ofTenant = erasureTracesOfTenantMax - erasures.blocked(tenant, id)
  const ofAll = erasureTracesMax - erasures.blocked(undefined, id)
  const room = Math.max(0, Math.min(ofTenant, ofAll))
  if (found <= room) return undefined
  const whose = ofTenant <= ofAll ? 'of this tenant ' : ''
  return `it concerns ${found} traces, and ${room} more may be blocked ${whose}at once: wait until others are done, then ask again`
}

/** Why no further erasure can be asked for. */
export function erasuresMistake(erasures: Erasures, tenant: string): string | undefined {
  const remedy =
    'wait: a dry run or a refused one is forgotten a day after its end, a receipt after 90 days'
  const { all } = erasures
  const own = all.filter(one => one.tenant === tenant).length
  if (own >= erasuresOfTenantMax) {
    return `the tenant has ${own} erasures, of at most ${erasuresOfTenantMax}; ${remedy}`
  }
  if (all.length < erasuresMax) return undefined
  return `control holds ${all.length} erasures, of at most ${erasuresMax}; ${remedy}`
}
