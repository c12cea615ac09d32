import { createLog, KeyRing, systemClock } from '@winnow/runtime'
import { beyondLoopback, type Config, hasKeys } from '../program-config.ts'
import { type Check, type Finding, ok, warning } from './finding.ts'

/** Who may come in: how many keys there are, never which. */
export function keysCheck(config: Config): Check {
  const key = config.keys === undefined && config.keysFile !== undefined ? 'keysFile' : 'keys'
  return { key, look: async () => [keysFinding(key, config)] }
}

function keysFinding(key: string, config: Config): Finding {
  const { keys, keysFile } = config
  if (!hasKeys(config)) {
    const open = beyondLoopback(config)
    if (open.length === 0) return ok(key, 'none: only this machine can come in, as tenant default')
    return warning(
      key,
      `none, and ${open.join(', ')} can be reached from elsewhere: anybody there can send and read`,
      'set keys or keysFile',
    )
  }
  const log = createLog(systemClock, () => {})
  const ring = KeyRing.open({
    log,
    ...(keys !== undefined && { keys }),
    ...(keysFile !== undefined && { keysFile }),
  })
  const count = ring?.size ?? 0
  ring?.close()
  const nowMs = systemClock.nowMs()
  const ended = Object.values(keys ?? {}).filter(one => (one.expiresAtMs ?? Infinity) <= nowMs)
  const found = `${count === 1 ? '1 key' : `${count} keys`}${keysFile === undefined ? '' : `, with those of ${keysFile}`}`
  if (ended.length > 0) {
    return warning(key, `${found}; ${ended.length} have expired`, 'take them out: winnow keys new')
  }
  return ok(key, found)
}
