import { tokenKeyCheck } from '@winnow/privacy'
import type { RedactedText } from '@winnow/writer'
import { redactorsOf } from '../config/privacy-config.ts'
import type { Config } from '../program-config.ts'

/** What redaction makes of a text before the bus; undefined where nothing is redacted. */
export function redactText(
  config: Config,
): ((tenant: string, text: string) => Promise<RedactedText>) | undefined {
  const redactors = redactorsOf(config)
  return (
    redactors &&
    (async (tenant, text) => {
      const redactor = await redactors.of(tenant)
      if (redactor === undefined) return { text }
      return { text: redactor.redactText(text), keyCheck: tokenKeyCheck(redactor) }
    })
  )
}
