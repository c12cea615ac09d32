import type { TracesData } from '@winnow/otlp'
import { bool, int, texts } from './attributes.ts'
import { type Trace48fChanges, trace48f, trace48fRequests } from './trace-48f.ts'

/** Another trace with 48f's last seven bytes, hence with the same randomness R (conventions c.11). */
export const trace48fTwinId = '7e1c5a90d3b84f6ea12e0a1b3c4d5e6f'

/** All that tells the healthy twin from 48f: the id and four outcomes. */
export const trace48fTwinChanges: Trace48fChanges = {
  traceId: trace48fTwinId,
  attributes: {
    '01_root': [bool('outcome.policy_correct', true), int('outcome.csat_response', 5)],
    '07_cite': [int('citation.claims_supported', 2), texts('citation.unsupported', [])],
  },
}

/**
 * The healthy twin: no rule but `ordinary` matches it, and because its R is 48f's, which lies below
 * the threshold of 10 %, it is dropped. Whatever keeps 48f and drops this one decided by outcome.
 */
export function trace48fTwin(options: { readonly startMs?: number } = {}): TracesData {
  return trace48f(options, trace48fTwinChanges)
}

/** The twin in four requests, see {@link trace48fRequests}. */
export function trace48fTwinRequests(options: { readonly startMs?: number } = {}): TracesData[] {
  return trace48fRequests(options, trace48fTwinChanges)
}
