import { PipelineError } from '@winnow/runtime'

/**
 * Strings that are replaced or left out in one request. With the messages around it each is some 700 bytes of memory
 * until all are known, many times what it takes in the request.
 */
export const rewritesMax = 250_000

/** Messages around a value: the envelope's six, and three for each of the 64 values. */
const levelsMax = 256

interface Edit {
  /** Where the length stands, and the content behind it. Of what is cut out: where the field begins. */
  readonly lengthPos: number
  readonly start: number
  readonly end: number
  readonly parent: number
  /** Absent: a message around other edits. */
  readonly replacement?: Uint8Array
  readonly isCut?: boolean
  /** By how much what is inside grows. */
  inner: number
  length: number
}

/**
 * Replacements of parts of a protobuf message, in the order of their places, with the messages around them:
 * the lengths of those are known once all edits are. Nothing is kept of messages without edits.
 */
export class RewriteEdits {
  readonly #bytes: Buffer
  readonly #lengthPos = new Uint32Array(levelsMax)
  readonly #start = new Uint32Array(levelsMax)
  readonly #end = new Uint32Array(levelsMax)
  /** The edit of the message entered last on each level; -1: it has none yet. */
  readonly #edit = new Int32Array(levelsMax).fill(-1)
  readonly #edits: Edit[] = []
  #rewrites = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** A message on a level from 1 on; level 0 is the whole. */
  enter(level: number, lengthPos: number, start: number, end: number): void {
    this.#lengthPos[level] = lengthPos
    this.#start[level] = start
    this.#end[level] = end
    this.#edit[level] = -1
  }

  isEdited(level: number): boolean {
    return (this.#edit[level] as number) >= 0
  }

  /** Of a field in the message entered last on `level`. PAYLOAD_TOO_LARGE above `rewritesMax`. */
  replace(
    level: number,
    lengthPos: number,
    start: number,
    end: number,
    replacement: Uint8Array,
  ): void {
    this.#count()
    const parent = this.#around(level)
    const length = replacement.length
    this.#edits.push({ lengthPos, start, end, parent, replacement, inner: 0, length })
  }

  /** Takes a field out, from its tag on; throws as `replace`. */
  cut(level: number, from: number, end: number): void {
    this.#count()
    const parent = this.#around(level)
    this.#edits.push({
      lengthPos: from,
      start: from,
      end,
      parent,
      isCut: true,
      inner: 0,
      length: 0,
    })
  }

  /** The bytes with all edits; the same buffer where there are none. */
  applied(): Buffer {
    const edits = this.#edits
    if (edits.length === 0) return this.#bytes
    let grown = 0
    for (let i = edits.length - 1; i >= 0; i--) {
      const edit = edits[i] as Edit
      const delta = deltaOf(edit)
      const parent = edits[edit.parent]
      if (parent === undefined) grown += delta
      else parent.inner += delta
    }
    const out = Buffer.allocUnsafe(this.#bytes.length + grown)
    let at = 0
    let from = 0
    for (const edit of edits) {
      at = copied(this.#bytes, from, edit.lengthPos, out, at)
      if (edit.isCut !== true) at = writeVarint(out, at, edit.length)
      from = edit.start
      if (edit.replacement !== undefined) {
        out.set(edit.replacement, at)
        at += edit.replacement.length
      }
      if (edit.replacement !== undefined || edit.isCut === true) from = edit.end
    }
    this.#bytes.copy(out, at, from)
    return out
  }

  #count(): void {
    if (++this.#rewrites <= rewritesMax) return
    throw new PipelineError(
      'PAYLOAD_TOO_LARGE',
      `more than ${rewritesMax} strings to redact in one request (rewritesMax); send smaller batches`,
    )
  }

  /** Edits of the messages around, outermost first, so that the order is that of the places. */
  #around(level: number): number {
    let parent = -1
    for (let i = 1; i <= level; i++) {
      if ((this.#edit[i] as number) < 0) {
        this.#edit[i] = this.#edits.length
        const lengthPos = this.#lengthPos[i] as number
        const start = this.#start[i] as number
        const end = this.#end[i] as number
        this.#edits.push({ lengthPos, start, end, parent, inner: 0, length: 0 })
      }
      parent = this.#edit[i] as number
    }
    return parent
  }
}

/** By how much an edit makes the message around it grow; says what its own length becomes. */
function deltaOf(edit: Edit): number {
  if (edit.isCut === true) return edit.start - edit.end
  const before = edit.end - edit.start
  if (edit.replacement === undefined) edit.length = before + edit.inner
  return edit.length - before + varintBytes(edit.length) - (edit.start - edit.lengthPos)
}

function varintBytes(value: number): number {
  let count = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) count++
  return count
}

/** Below so many bytes a loop is quicker than a call. */
const callBytesMin = 64

/** Copies `[from, to)` to `at`; the position behind it. */
function copied(bytes: Buffer, from: number, to: number, out: Buffer, at: number): number {
  if (to - from >= callBytesMin) return at + bytes.copy(out, at, from, to)
  for (let i = from, pos = at; i < to; i++) out[pos++] = bytes[i] as number
  return at + to - from
}

function writeVarint(out: Buffer, at: number, value: number): number {
  let pos = at
  let rest = value
  while (rest > 127) {
    out[pos++] = (rest & 127) | 128
    rest >>>= 7
  }
  out[pos++] = rest
  return pos
}
