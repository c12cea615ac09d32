import {
  type DecidedEvaluation,
  type DecidedRetraction,
  type DecisionHead,
  factTextBytesMax,
  type PackedSlice,
} from '@winnow/model'
import { isClearText } from '@winnow/privacy'

/**
 * A decision as a store may hold it for longer than a day: reasons of rescues are empty, labels and
 * sources that are long or read like prose are left out. Rules' values and slices' facts are facts
 * by construction.
 */
export function factsOnly<D extends DecisionHead>(decision: D): D {
  const { evaluations, requests, retractions = [] } = decision
  if (evaluations.length + requests.length + retractions.length === 0) return decision
  return {
    ...decision,
    evaluations: evaluations.map(withoutProse),
    requests: requests.map(({ id }) => ({ id, reason: '' })),
    ...(retractions.length > 0 && { retractions: retractions.map(retractionWithoutProse) }),
  }
}

/** `factsOnly` without slices, as the hot store keeps it. */
export function factsHead(decision: DecisionHead): DecisionHead {
  const { slices, ...head } = decision as DecisionHead & {
    readonly slices?: readonly PackedSlice[]
  }
  return factsOnly(slices === undefined ? decision : head)
}

/** `factsHead` as JSON: `text`, which the decision was parsed from, where that says nothing else. */
export function headText(decision: DecisionHead, text?: string): string {
  const facts = factsHead(decision)
  return (facts === decision ? text : undefined) ?? JSON.stringify(facts)
}

/**
 * The whole decision as JSON without free text; undefined where the record that it was read from says
 * nothing else. `slicesAt` is where the record's slices begin, with the comma before their key.
 */
export function factsJson(
  decision: DecisionHead,
  record: Uint8Array,
  slicesAt: number,
): Uint8Array | undefined {
  const facts = factsOnly(decision)
  if (facts === decision) return undefined
  const head = JSON.stringify(facts).slice(0, -1)
  return Buffer.concat([Buffer.from(head), record.subarray(slicesAt)])
}

function withoutProse(evaluation: DecidedEvaluation): DecidedEvaluation {
  const { id, name, spanId, score, label, passed, source, atMs, effect } = evaluation
  const { experiment, variant, sentAs, settled } = evaluation
  return {
    id,
    name,
    ...(spanId !== undefined && { spanId }),
    ...(score !== undefined && { score }),
    ...(label !== undefined && isFact(label) && { label }),
    ...(passed !== undefined && { passed }),
    ...(source !== undefined && isFact(source) && { source }),
    ...(atMs !== undefined && { atMs }),
    ...(experiment !== undefined && isFact(experiment) && { experiment }),
    ...(variant !== undefined && isFact(variant) && { variant }),
    ...(sentAs !== undefined && isFact(sentAs) && { sentAs }),
    ...(settled !== undefined && { settled }),
    effect,
  }
}

function retractionWithoutProse({ id, source, atMs }: DecidedRetraction): DecidedRetraction {
  return {
    id,
    ...(source !== undefined && isFact(source) && { source }),
    ...(atMs !== undefined && { atMs }),
  }
}

function isFact(text: string): boolean {
  return Buffer.byteLength(text) <= factTextBytesMax && isClearText(text)
}
