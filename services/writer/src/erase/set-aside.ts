import type { ColdHashers } from '@winnow/privacy'
import type { Log } from '@winnow/runtime'
import { type BlobStore, countInSegment } from '@winnow/storage'
import { type Erasure, erasureAsideMax, type SetAside } from './erasure-record.ts'
import type { Erasures } from './erasures.ts'
import { findInObject } from './find-traces.ts'
import { jobHasher } from './job-hasher.ts'
import { isDamaged } from './patiently.ts'
import type { OnAside } from './sweep-traces.ts'

/** Notes what cannot be read, so that one damaged object of anybody does not keep every erasure from its end. */
export function settingAside(
  aside: SetAside[],
  step: SetAside['step'],
  erasure: string,
  log: Log,
): OnAside {
  return (key, error) => {
    if (aside.some(one => one.key === key)) return
    if (aside.length >= erasureAsideMax) throw error
    aside.push({ key, step })
    log.error('writer.erasure_set_aside', error, { erasure, key })
  }
}

interface Searched {
  readonly blobs: BlobStore
  readonly hashers: ColdHashers
  readonly erasures: Erasures
}

/**
 * Looks again at what was set aside: the erasure without it; `unreadable` while any of it still is; `more` where
 * one has traces that are not blocked.
 */
export async function searchAside(
  { blobs, hashers, erasures }: Searched,
  erasure: Erasure,
): Promise<Erasure | 'unreadable' | 'more'> {
  const { aside, ...rest } = erasure
  if (aside === undefined) return erasure
  const { id, tenant, field, tokens = [] } = erasure
  const known = new Set(erasures.tracesOf(id))
  for (const { key } of aside) {
    try {
      // Gone is as good as read: also where the keys that could have told of it are gone too.
      if ((await blobs.head(key)) === undefined) continue
      if (field === 'trace.id') await countInSegment(blobs, key, { isErased: () => false })
      else {
        const hasher = await jobHasher(hashers, erasure)
        const found = await findInObject({ blobs, tenant, field, tokens, hasher }, key)
        for (const one of found) if (!known.has(one)) return 'more'
      }
    } catch (error) {
      if (isDamaged(error)) return 'unreadable'
      throw error
    }
  }
  return rest
}

/** For people: which objects, and what to do. */
export function asideText(aside: readonly SetAside[]): string {
  const named = aside.slice(0, namedMax).map(({ key }) => key)
  const more = aside.length > namedMax ? ` and ${aside.length - namedMax} more` : ''
  return `whether they hold its traces is not known, since they cannot be read: ${named.join(', ')}${more}; restore them from a copy or delete them, it is not done before`
}

const namedMax = 8
