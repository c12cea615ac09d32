/** The members of a trace state's `ot` entry that sampling reads (conventions c.11). */
export interface SamplingState {
  /** 14 lower-case hex digits. */
  readonly rv?: string
  /** 1 to 14 lower-case hex digits. */
  readonly th?: string
}

/** An `ot` entry is not longer than this; the specification ends it at 256 characters. */
const entryBytesMax = 259

/**
 * Reads `ot=th:…;rv:…` out of a trace state. A member that is not valid is left out; undefined where
 * none is left. Most trace states have no `ot`: that is found without an object.
 */
export function samplingStateOf(
  source: Buffer,
  start: number,
  end: number,
): SamplingState | undefined {
  let at = start
  while (at < end) {
    while (at < end && (source[at] === 0x20 || source[at] === 0x09)) at++
    let stop = at
    while (stop < end && source[stop] !== 0x2c) stop++
    const isOt = source[at] === 0x6f && source[at + 1] === 0x74 && source[at + 2] === 0x3d
    if (isOt && stop - at > 3) {
      return stop - at > entryBytesMax
        ? undefined
        : membersOf(source.toString('latin1', at + 3, stop))
    }
    at = stop + 1
  }
  return undefined
}

function membersOf(entry: string): SamplingState | undefined {
  let rv: string | undefined
  let th: string | undefined
  for (const member of entry.trim().split(';')) {
    const value = member.slice(3)
    if (member.startsWith('rv:') && /^[0-9a-f]{14}$/.test(value)) rv = value
    else if (member.startsWith('th:') && /^[0-9a-f]{1,14}$/.test(value)) th = value
  }
  if (rv === undefined && th === undefined) return undefined
  return { ...(rv !== undefined && { rv }), ...(th !== undefined && { th }) }
}
