import type { InstrumentationScope, Resource, ScopeSpans, Span, TracesData } from '@winnow/otlp'
import { bool, int, text } from './attributes.ts'
import type { Dialect } from './traffic-dialects.ts'

/** The processes that one trace passes through; each exports its own spans. */
export type Service = 'chat-gateway' | 'refund-agent' | 'retriever' | 'tool-runner' | 'evaluator'

/** A process's resource and the library that made the span. Compared by identity. */
export interface Origin {
  readonly resource: Resource
  readonly resourceSchemaUrl: string
  readonly scope: InstrumentationScope
  readonly scopeSchemaUrl: string
}

/** A span on its way out of its service. */
export interface OriginSpan {
  readonly origin: Origin
  readonly span: Span
}

/** The origins of one tenant's processes, each made once. */
export class Origins {
  readonly #tenant: string
  readonly #resources = new Map<string, Resource>()
  readonly #origins = new Map<string, Origin>()

  constructor(tenant: string) {
    this.#tenant = tenant
  }

  /** `named` false: the process forgot `service.name`, as some do. */
  of(service: Service, dialect: Dialect, named = true): Origin {
    const key = `${service} ${dialect} ${named}`
    const known = this.#origins.get(key)
    if (known !== undefined) return known
    const origin = {
      resource: this.#resource(service, named),
      resourceSchemaUrl: service === 'retriever' ? 'https://opentelemetry.io/schemas/1.26.0' : '',
      ...scopes[dialect],
    }
    this.#origins.set(key, origin)
    return origin
  }

  #resource(service: Service, named: boolean): Resource {
    const key = `${service} ${named}`
    const known = this.#resources.get(key)
    if (known !== undefined) return known
    const resource = {
      attributes: [
        ...(named ? [text('service.name', service)] : []),
        text('service.instance.id', `${this.#tenant}-${service}-0`),
        text('deployment.environment.name', 'prod'),
        text('telemetry.sdk.language', service === 'chat-gateway' ? 'nodejs' : 'python'),
        int('process.pid', 4711),
      ],
      droppedAttributesCount: named ? 0 : 1,
    }
    this.#resources.set(key, resource)
    return resource
  }
}

/** Spans as one export request: a `ResourceSpans` a resource, a `ScopeSpans` a library, in order of appearance. */
export function requestOf(spans: readonly OriginSpan[]): TracesData {
  const byResource = new Map<Resource, Map<Origin, Span[]>>()
  for (const { origin, span } of spans) {
    const byOrigin = byResource.get(origin.resource) ?? new Map<Origin, Span[]>()
    byResource.set(origin.resource, byOrigin)
    const members = byOrigin.get(origin)
    if (members === undefined) byOrigin.set(origin, [span])
    else members.push(span)
  }
  return {
    resourceSpans: Array.from(byResource, ([resource, byOrigin]) => ({
      resource,
      scopeSpans: Array.from(
        byOrigin,
        ([origin, members]): ScopeSpans => ({
          scope: origin.scope,
          spans: members,
          schemaUrl: origin.scopeSchemaUrl,
        }),
      ),
      schemaUrl: byOrigin.keys().next().value?.resourceSchemaUrl ?? '',
    })),
  }
}

type Scope = Pick<Origin, 'scope' | 'scopeSchemaUrl'>

function scope(name: string, version: string, schemaUrl = ''): Scope {
  const attributes = name.includes('traceloop') ? [bool('traceloop.auto', true)] : []
  return {
    scope: { name, version, attributes, droppedAttributesCount: 0 },
    scopeSchemaUrl: schemaUrl,
  }
}

const scopes: Record<Dialect, Scope> = {
  semconv: scope('gen-ai-sdk', '2.1.0', 'https://opentelemetry.io/schemas/1.41.0'),
  'semconv-old': scope('gen-ai-sdk', '0.9.4', 'https://opentelemetry.io/schemas/1.30.0'),
  openinference: scope('openinference.instrumentation.langchain', '0.1.44'),
  traceloop: scope('opentelemetry.instrumentation.traceloop', '0.62.1'),
  seed: scope('', ''),
}
