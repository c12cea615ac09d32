import type { NewRecord } from '@winnow/bus'
import { writtenVersion } from '@winnow/model'
import type { Policy } from './policy-file.ts'

/**
 * The rules behind a `policyVersion`, and the version in force, for the compacted `control` topic:
 * whoever re-derives a decision later finds the rules it was made with.
 */
export function policyRecords(policy: Policy, atMs: number): NewRecord[] {
  const { version, rules } = policy
  const v = writtenVersion('policyRecord')
  return [
    record(`policy/${version}`, { v, kind: 'policy', version, rules }),
    record('policy', { v, kind: 'policy-in-force', version, atMs }),
  ]
}

function record(key: string, value: object): NewRecord {
  return { key: Buffer.from(key), value: Buffer.from(JSON.stringify(value)) }
}
