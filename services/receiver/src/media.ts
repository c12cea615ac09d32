/** The two bodies of OTLP over HTTP. */
export type Encoding = 'protobuf' | 'json'

const encodingOfMedia: Readonly<Record<string, Encoding>> = {
  'application/x-protobuf': 'protobuf',
  'application/json': 'json',
}

export const mediaOf = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
} as const satisfies Record<Encoding, string>

/** By media type: case and parameters (`; charset=utf-8`) say nothing. Undefined: neither of the two. */
export function encodingOf(contentType: string | undefined): Encoding | undefined {
  const media = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return Object.hasOwn(encodingOfMedia, media) ? encodingOfMedia[media] : undefined
}
