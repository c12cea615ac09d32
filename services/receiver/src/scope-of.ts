import type { Signal } from '@winnow/otlp'
import type { Scope } from '@winnow/runtime'

/** What a key needs to send a signal. All that logs can bring are outcomes. */
export const scopeOf: Readonly<Record<Signal, Scope>> = {
  traces: 'ingest',
  logs: 'evaluate',
  metrics: 'ingest',
}
