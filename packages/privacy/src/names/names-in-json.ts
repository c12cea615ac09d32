import { isClearText } from '../levels.ts'
import type { Redactor } from '../redactor.ts'
import type { TenantNames } from './names.ts'

/** Nobody takes anything that lies deeper. */
const depthMax = 16

/** Fields in which people and judges write; elsewhere prose alone is looked at. */
const freeTextFields = new Set(['comment', 'explanation', 'rationale', 'reason', 'note'])

/** A value that JSON gave with the names in its free text redacted; itself where there is none. Never rejects for the detector. */
export async function redactNamesInJson(
  names: TenantNames,
  redactor: Redactor,
  value: unknown,
  onFound: (kind: string) => void = () => {},
): Promise<unknown> {
  const search = names.begin(redactor, onFound)
  mapFreeText(value, text => {
    search.add(text)
    return text
  })
  if (search.isEmpty) return value
  await search.ask()
  const redacted = mapFreeText(value, text => search.redacted(text) ?? text)
  names.end(search)
  return redacted
}

function mapFreeText(
  value: unknown,
  map: (text: string) => string,
  field = '',
  depth = 0,
): unknown {
  if (typeof value === 'string') {
    return freeTextFields.has(field) || !isClearText(value) ? map(value) : value
  }
  if (typeof value !== 'object' || value === null || depth === depthMax) return value
  if (Array.isArray(value)) return value.map(one => mapFreeText(one, map, field, depth + 1))
  const isFree = freeTextFields.has(field)
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key,
      mapFreeText(one, map, isFree ? field : key, depth + 1),
    ]),
  )
}
