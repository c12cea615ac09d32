import { tokenKeysWarning, unknownTenantsWarning } from '../privacy-warnings.ts'
import type { Config } from '../program-config.ts'
import { type Check, warning } from './finding.ts'

/** What of `privacy` works, and most likely not as it is meant. Nothing is said where nothing is. */
export function privacyCheck(config: Config): Check {
  const look = async () =>
    [tokenKeysWarning(config), unknownTenantsWarning(config)]
      .filter(one => one !== undefined)
      .map(({ key, found, remedy }) => warning(key, found, remedy))
  return { key: 'privacy', look }
}
