// Hot: the fields of one span, a million times a second.
import { attributeLevel, type Interest } from './interest.ts'
import {
  checkValue,
  plainValueAt,
  readAttribute,
  scanAttribute,
  twoByteLength,
} from './scan-value.ts'
import { type SpanTable, spanProblem } from './span-table.ts'
import {
  afterField,
  afterFixed,
  afterVarint,
  lengthAt,
  littleWordAt,
  tagAt,
  varintBits,
  wordAt,
} from './wire-scan.ts'

/** A level that no list can name: links' attributes are checked, and nobody asks for them. */
const linkLevel = 7

/** Fills the row of one span; `table.open` has made it zero. */
export function scanSpan(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  row: number,
): void {
  table.start[row] = from
  table.end[row] = end
  const hitFrom = table.hits.length
  const { isEmpty, isChecked } = interest
  let attributes = 0
  let at = from
  while (at < end) {
    let tag = bytes[at] as number
    if (tag === 74) {
      // Most of a span: passed without a call where its shape is the common one and nobody wants it.
      const length = bytes[at + 1] as number
      const start = length < 128 ? at + 2 : at + 3
      const stop = length < 128 ? start + length : start + twoByteLength(bytes, at + 1)
      const valueStart = stop <= end ? plainValueAt(bytes, start, stop) : -1
      if (valueStart >= 0) {
        if (!isChecked) checkValue(bytes, valueStart, stop)
        const keyEnd = start + 2 + (bytes[start + 1] as number)
        if (!isEmpty && interest.mayWant(bytes, start + 2, keyEnd)) {
          readAttribute(bytes, start, valueStart, stop, table, interest, attributeLevel.span, row)
        }
        attributes++
        at = stop
        continue
      }
    }
    if (tag < 128) at++
    else {
      tag = tagAt(bytes, at, end)
      at = afterVarint(bytes, at, end)
    }
    if ((tag & 7) !== 2) {
      if (isLogField(tag)) {
        refuseLogRecord(table, row, hitFrom)
        return
      }
      at = scanScalar(bytes, tag, at, end, table, row)
      continue
    }
    const packed = lengthAt(bytes, at, end)
    at += packed & 15
    const stop = at + (packed >>> 4)
    if (tag === 74) {
      attributes++
      scanAttribute(bytes, at, stop, table, interest, attributeLevel.span, row)
    } else if (tag === 50) {
      refuseLogRecord(table, row, hitFrom)
      return
    } else {
      scanPart(bytes, tag, at, stop, table, interest, row)
    }
    at = stop
  }
  table.attributeCount[row] = attributes
  table.hitFrom[row] = hitFrom
  table.hitTo[row] = table.hits.length
  checkIds(table, row)
}

function scanPart(
  bytes: Uint8Array,
  tag: number,
  at: number,
  stop: number,
  table: SpanTable,
  interest: Interest,
  row: number,
): void {
  switch (tag) {
    case 10:
      scanTraceId(bytes, at, stop, table, row)
      break
    case 18: {
      const valid = stop - at === 8
      table.span0[row] = valid ? wordAt(bytes, at) : 0
      table.span1[row] = valid ? wordAt(bytes, at + 4) : 0
      break
    }
    case 26:
      table.stateStart[row] = at
      table.stateEnd[row] = stop
      break
    case 34: {
      const valid = stop - at === 8
      table.parent0[row] = valid ? wordAt(bytes, at) : 0
      table.parent1[row] = valid ? wordAt(bytes, at + 4) : 0
      break
    }
    case 42:
      table.nameStart[row] = at
      table.nameEnd[row] = stop
      break
    case 90:
      scanEvent(bytes, at, stop, table, interest, row)
      break
    case 106:
      scanLink(bytes, at, stop, table, interest, row)
      break
    case 122:
      scanStatus(bytes, at, stop, table, row)
      break
    default:
      // The length is checked already; this refuses field number 0.
      if (tag < 8) afterField(bytes, tag, at, stop)
  }
}

/** A field that is no message: returns the position behind it. */
function scanScalar(
  bytes: Uint8Array,
  tag: number,
  at: number,
  end: number,
  table: SpanTable,
  row: number,
): number {
  switch (tag) {
    case 48: {
      const stop = afterVarint(bytes, at, end)
      table.kind[row] = Math.min(255, varintBits(bytes, at, 0))
      return stop
    }
    case 57: {
      const stop = afterFixed(at, 8, end)
      table.startLo[row] = littleWordAt(bytes, at)
      table.startHi[row] = littleWordAt(bytes, at + 4)
      return stop
    }
    case 65: {
      const stop = afterFixed(at, 8, end)
      table.endLo[row] = littleWordAt(bytes, at)
      table.endHi[row] = littleWordAt(bytes, at + 4)
      return stop
    }
    case 133: {
      const stop = afterFixed(at, 4, end)
      table.flags[row] = littleWordAt(bytes, at)
      return stop
    }
    default:
      return afterField(bytes, tag, at, end)
  }
}

function scanTraceId(
  bytes: Uint8Array,
  at: number,
  stop: number,
  table: SpanTable,
  row: number,
): void {
  const valid = stop - at === 16
  table.traceAt[row] = at
  table.trace0[row] = valid ? wordAt(bytes, at) : 0
  table.trace1[row] = valid ? wordAt(bytes, at + 4) : 0
  table.trace2[row] = valid ? wordAt(bytes, at + 8) : 0
  table.trace3[row] = valid ? wordAt(bytes, at + 12) : 0
}

function scanEvent(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  row: number,
): void {
  const ordinal = (table.eventCount[row] as number) + 1
  table.eventCount[row] = ordinal
  const hitFrom = table.hits.length
  let nameStart = from
  let nameEnd = from
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    if (tag !== 18 && tag !== 26) {
      at = afterField(bytes, tag, at, end)
      continue
    }
    const packed = lengthAt(bytes, at, end)
    at += packed & 15
    const stop = at + (packed >>> 4)
    if (tag === 18) {
      nameStart = at
      nameEnd = stop
    } else {
      scanAttribute(bytes, at, stop, table, interest, attributeLevel.event, row)
    }
    at = stop
  }
  const hits = table.hits
  for (let hit = hitFrom; hit < hits.length; hit++) {
    hits.event[hit] = ordinal
    hits.eventNameStart[hit] = nameStart
    hits.eventNameEnd[hit] = nameEnd
  }
}

function scanLink(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  interest: Interest,
  row: number,
): void {
  table.linkCount[row] = (table.linkCount[row] as number) + 1
  table.links++
  if (interest.isChecked) return
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 34) {
      at += lengthAt(bytes, at, end) & 15
      scanAttribute(bytes, at, stop, table, interest, linkLevel, row)
    }
    at = stop
  }
}

function scanStatus(
  bytes: Uint8Array,
  from: number,
  end: number,
  table: SpanTable,
  row: number,
): void {
  let at = from
  while (at < end) {
    const tag = tagAt(bytes, at, end)
    at = afterVarint(bytes, at, end)
    const stop = afterField(bytes, tag, at, end)
    if (tag === 24) table.status[row] = Math.min(255, varintBits(bytes, at, 0))
    at = stop
  }
}

/**
 * Field numbers that a LogRecord sends with another wire type than a Span does: time (1) and
 * observed time (11) as fixed64, severity (2) and dropped count (7) as varints, flags (8) as
 * fixed32; attributes (6) as messages are told by the caller. To go on would be to read a trace id
 * as an attribute, and to refuse the whole batch for it.
 */
function isLogField(tag: number): boolean {
  return tag === 9 || tag === 16 || tag === 56 || tag === 69 || tag === 89
}

function refuseLogRecord(table: SpanTable, row: number, hitFrom: number): void {
  table.hits.length = hitFrom
  table.problem[row] = spanProblem.logRecord
  table.problems++
}

function checkIds(table: SpanTable, row: number): void {
  const trace =
    (table.trace0[row] as number) |
    (table.trace1[row] as number) |
    (table.trace2[row] as number) |
    (table.trace3[row] as number)
  if (trace !== 0 && ((table.span0[row] as number) | (table.span1[row] as number)) !== 0) return
  table.problem[row] = trace === 0 ? spanProblem.traceId : spanProblem.spanId
  table.problems++
}
