// Hot: asked once for every slice.
import { randomBytes } from 'node:crypto'

/** A trace id as four big-endian words of 32 bits with a sign: such numbers are no objects. */
export interface TraceWords {
  readonly trace0: number
  readonly trace1: number
  readonly trace2: number
  readonly trace3: number
}

/** Which trace: one id of two tenants is two traces. */
export interface TraceKey extends TraceWords {
  readonly tenant: string
}

/** Of 32 hex digits. */
export function wordsOfTrace(traceId: string): TraceWords {
  const word = (at: number): number => Number.parseInt(traceId.slice(at, at + 8), 16) | 0
  return { trace0: word(0), trace1: word(8), trace2: word(16), trace3: word(24) }
}

export function isSameTrace(a: TraceKey, b: TraceKey): boolean {
  return (
    a.trace3 === b.trace3 &&
    a.trace2 === b.trace2 &&
    a.trace1 === b.trace1 &&
    a.trace0 === b.trace0 &&
    a.tenant === b.tenant
  )
}

/** The seed of this process: whoever picks trace ids cannot pick them so that all fall into one place. */
const seed = randomBytes(4).readInt32LE()

/** 32 bits. Tenants that share ids are rare, and then their traces are neighbours. */
export function hashOfTrace({ trace0, trace1, trace2, trace3 }: TraceWords): number {
  return mix(mix(mix(mix(seed, trace3), trace2), trace1), trace0)
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1)
  return mixed ^ (mixed >>> 15)
}
