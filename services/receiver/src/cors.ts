import type { IncomingHttpHeaders } from 'node:http'

type Headers = Readonly<Record<string, string>>

const none: Headers = {}

/** What lets a listed browser origin read an answer. Others get nothing, and the browser refuses them. */
export function corsHeaders(origins: readonly string[], origin: string | undefined): Headers {
  if (origin === undefined || !origins.includes(origin)) return none
  return {
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'retry-after',
    vary: 'origin',
  }
}

/** The answer to a preflight of a listed origin; undefined for anything else. */
export function preflightHeaders(
  origins: readonly string[],
  method: string | undefined,
  headers: IncomingHttpHeaders,
): Headers | undefined {
  const isPreflight = method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
  const cors = corsHeaders(origins, headers.origin)
  if (!isPreflight || cors === none) return undefined
  return {
    ...cors,
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': 'authorization, content-encoding, content-type, x-api-key',
    'access-control-max-age': '7200',
  }
}
