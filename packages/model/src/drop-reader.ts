// Hot: the head of every dropped decision passes here, once a writer.
import type { DecisionHead } from './decision.ts'
import {
  headEnd,
  decisionMember as key,
  readDecisionVersion,
  readMatched,
} from './decision-members.ts'
import { JsonReader } from './json-reader.ts'

/** A drop without the answers of its rules, of which one is as large as all of this. */
export interface DropOutline
  extends Omit<
    DecisionHead,
    'rules' | 'verdict' | 'fingerprint' | 'evaluations' | 'requests' | 'write'
  > {
  readonly verdict: 'drop'
  /** The names of the rules that matched. */
  readonly matched: readonly string[]
  readonly evaluations: readonly []
  readonly requests: readonly []
  readonly write: readonly []
}

/**
 * Reads a drop that is laid out exactly as the sampler writes one on which nobody has said anything.
 * Undefined for anything else, which says nothing of it: the one parser of decisions has to be asked.
 * What is read here the parser reads alike.
 */
export function readDrop(bytes: Buffer): DropOutline | undefined {
  reader.begin(bytes)
  // Read member by member, in the order of the record.
  const drop: DropOutline = {
    v: readDecisionVersion(reader),
    kind: 'decision',
    tenant: reader.name(key.tenant),
    traceId: reader.string(key.traceId),
    revision: reader.count(key.revision),
    verdict: readVerdict(),
    primary: reader.name(key.primary),
    matched: readMatched(reader),
    probability: reader.number(key.probability),
    th: reader.name(key.th),
    adjustedCount: reader.number(key.adjustedCount),
    stratum: reader.name(key.stratum),
    policyVersion: reader.name(key.policyVersion),
    cause: reader.name(key.cause) as DropOutline['cause'],
    firstSpanAtMs: reader.countOrNull(key.firstSpanAtMs),
    lastSpanAtMs: reader.countOrNull(key.lastSpanAtMs),
    decidedAtMs: reader.count(key.decidedAtMs),
    seriesAtMs: reader.count(key.seriesAtMs),
    closeReason: reader.nameOrNull(key.closeReason) as DropOutline['closeReason'],
    closedAtMs: reader.countOrNull(key.closedAtMs),
    missingParents: reader.count(key.missingParents),
    complete: reader.booleanOrNull(key.complete),
    spanCount: reader.count(key.spanCount),
    duplicateSpans: reader.count(key.duplicateSpans),
    rootSpanId: reader.stringOrNull(key.rootSpanId),
    service: reader.nameOrNull(key.service),
    operation: reader.nameOrNull(key.operation),
    experiment: reader.nameOrNull(key.experiment),
    variant: reader.nameOrNull(key.variant),
    durationMs: reader.numberOrNull(key.durationMs),
    inputTokens: reader.number(key.inputTokens),
    outputTokens: reader.number(key.outputTokens),
    costUsd: reader.number(key.costUsd),
    write: empty,
    evaluations: empty,
    requests: readNoLists(),
    sliceCount: reader.count(key.sliceCount),
    prev: readPrev(),
    claim: reader.count(key.claim),
    seq: reader.count(key.seq),
  }
  reader.expect(key.slices)
  return reader.failed ? undefined : drop
}

const reader = new JsonReader(headEnd)

/** Where the slices of what was read last begin, behind their bracket. */
export function dropSlicesFrom(): number {
  return reader.at
}

const empty = [] as const

/** A drop has no other verdict, and nobody has said anything of one that is read here. */
const dropVerdict = Buffer.from('"drop"')
const noLists = Buffer.from(',"write":[],"evaluations":[],"requests":[]')

function readVerdict(): 'drop' {
  reader.expect(key.verdict)
  reader.expect(dropVerdict)
  return 'drop'
}

function readNoLists(): readonly [] {
  reader.expect(noLists)
  return empty
}

function readPrev(): number | null {
  reader.skip(key.fingerprint)
  return reader.countOrNull(key.prev)
}
