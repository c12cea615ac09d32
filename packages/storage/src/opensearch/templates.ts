import { type IndexKind, indexKinds, indexPattern } from './index-names.ts'

/** Raised with every change of a mapping or setting below. An older release leaves a newer's in place. */
export const templateVersion = 1

/**
 * Characters of a keyword that is searched for. A term has at most 32,766 bytes, and one that is
 * longer refuses its whole document; four bytes are the most that a character takes.
 */
export const keywordLengthMax = 8_191

export interface IndexShape {
  readonly shards: number
  readonly replicas: number
}

const keyword = { type: 'keyword', ignore_above: keywordLengthMax } as const
const long = { type: 'long' } as const
const double = { type: 'double' } as const
const integer = { type: 'integer' } as const
const nanos = { type: 'date_nanos' } as const
const millis = { type: 'date', format: 'epoch_millis' } as const
/** Any keys without a mapping of their own; nothing can be summed up over it. */
const flat = { type: 'flat_object' } as const
/** Given back as it came, and never looked into. */
const opaque = { type: 'object', enabled: false } as const
/** Base64, given back as it came. */
const binary = { type: 'binary' } as const
/** Data Prepper's template writes these of ids, kinds and names; here no length is too much. */
const id = keyword

const event = { name: keyword, time: nanos, attributes: opaque, droppedAttributesCount: integer }

const link = {
  traceId: id,
  spanId: id,
  traceState: keyword,
  attributes: opaque,
  droppedAttributesCount: integer,
}

/** As Data Prepper's template for trace analytics names them (`otel-v1-apm-span`). */
const dataPrepperFields = {
  traceId: id,
  spanId: id,
  parentSpanId: id,
  traceState: keyword,
  name: keyword,
  kind: keyword,
  serviceName: keyword,
  startTime: nanos,
  endTime: nanos,
  '@timestamp': nanos,
  time: nanos,
  durationInNanos: long,
  status: { properties: { code: integer, message: keyword } },
  traceGroup: keyword,
  traceGroupFields: {
    properties: { endTime: nanos, durationInNanos: long, statusCode: integer },
  },
  instrumentationScope: {
    properties: {
      name: keyword,
      version: keyword,
      schemaUrl: keyword,
      droppedAttributesCount: integer,
    },
  },
  attributes: flat,
  resource: {
    properties: { attributes: flat, schemaUrl: keyword, droppedAttributesCount: integer },
  },
  droppedAttributesCount: integer,
  events: { type: 'nested', dynamic: false, properties: event },
  droppedEventsCount: integer,
  links: { type: 'nested', dynamic: false, properties: link },
  droppedLinksCount: integer,
} as const

/** What of a span is summed up or filtered by, beside what Data Prepper names. */
const promotedFields = {
  tenant: keyword,
  genAi: {
    properties: {
      operation: keyword,
      provider: keyword,
      model: keyword,
      tool: keyword,
      inputTokens: double,
      outputTokens: double,
      costUsd: double,
    },
  },
  experiment: { properties: { id: keyword, variant: keyword } },
  sampling: {
    properties: {
      rule: keyword,
      revision: integer,
      probability: double,
      adjustedCount: double,
      logId: keyword,
      partition: integer,
      offset: long,
    },
  },
  /** Names of attributes that no index can hold, see `span-document.ts`. */
  attributesLeftOut: keyword,
} as const

/** Where a document comes from: every kind has these. */
const originFields = {
  tenant: keyword,
  traceId: id,
  logId: keyword,
  partition: integer,
  offset: long,
  decidedAt: millis,
} as const

const traceFields = {
  ...originFields,
  revision: integer,
  rule: keyword,
  rules: keyword,
  serviceName: keyword,
  operation: keyword,
  experiment: keyword,
  variant: keyword,
  stratum: keyword,
  cause: keyword,
  durationMs: double,
  spanCount: long,
  inputTokens: double,
  outputTokens: double,
  costUsd: double,
  probability: double,
  adjustedCount: double,
  firstSpanAt: millis,
  seriesAt: millis,
  decision: opaque,
} as const

const fieldsOf: Readonly<Record<IndexKind, Readonly<Record<string, unknown>>>> = {
  traces: traceFields,
  spans: { ...dataPrepperFields, ...promotedFields },
  parts: { ...originFields, part: keyword, bytes: long, spans: binary, bodies: opaque },
  text: { tenant: keyword, traceId: id, bytes: binary },
  rejected: { tenant: keyword, traceId: id, index: keyword, reason: keyword, at: millis },
}

export interface Template {
  /** Below `/`, as it is put. */
  readonly path: string
  readonly body: object
}

/** The component first: a template that names one which is not there is refused. */
export function templates(prefix: string, shape: IndexShape): Template[] {
  const common = `${prefix}-hot`
  const meta = { version: templateVersion, _meta: { program: 'winnow', format: templateVersion } }
  const settings = {
    index: {
      number_of_shards: shape.shards,
      number_of_replicas: shape.replicas,
      codec: 'best_compression',
      // A number that does not fit its field is left out of the index, not the document.
      mapping: { ignore_malformed: true },
    },
  }
  return [
    { path: `_component_template/${common}`, body: { ...meta, template: { settings } } },
    ...indexKinds.map(kind => ({
      path: `_index_template/${prefix}-${kind}`,
      body: {
        ...meta,
        index_patterns: [indexPattern(prefix, kind)],
        composed_of: [common],
        // Above the templates that a cluster has for patterns like `*`.
        priority: 500,
        template: { mappings: { ...mappingsOf(kind), date_detection: false } },
      },
    })),
  ]
}

/**
 * Unknown fields are held and not looked into: a newer release's document is taken by an index that
 * an older one made, and no sender's key becomes a field.
 */
export function mappingsOf(kind: IndexKind): object {
  return { dynamic: false, properties: fieldsOf[kind] }
}
