import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { PipelineError } from '@winnow/runtime'
import { Connection, type ConnectionOptions, StatusError } from './connection.ts'
import { parseIndexName } from './index-names.ts'
import { templates, templateVersion } from './templates.ts'

export interface OpenSearchSurvey {
  readonly version: string
  readonly latencyMs: number
  /** `green`, `yellow` or `red`. */
  readonly status: string
  readonly nodes: number
  /** Free on the fullest node's disk, and all it has. */
  readonly freeBytes: number
  readonly diskBytes: number
  /** Of the templates that are there; undefined: none yet. */
  readonly templateFormat: number | undefined
  readonly templateFormatKnown: number
  /** Indices of ours that take no writes. */
  readonly blocked: readonly string[]
  readonly time: {
    readonly serverMs: number
    readonly askedMs: number
    readonly answeredMs: number
  }
}

export interface OpenSearchSurveyOptions extends ConnectionOptions {
  readonly indexPrefix: string
  readonly shards: number
  readonly replicas: number
  readonly nowMs: () => number
}

/**
 * What the cluster is, and whether this user may do there what the hot store does: templates are tried
 * without being put, and an index of its own is made, written and deleted. CONFIG_INVALID where that is
 * refused, STORE_UNAVAILABLE where nobody answers; with the reason and the remedy.
 */
export async function surveyOpenSearch(
  options: OpenSearchSurveyOptions,
): Promise<OpenSearchSurvey> {
  const connection = await Connection.open(options)
  try {
    await connection.checkRelease()
    const survey = await look(connection, options)
    // Beside those that are there another of the same priority would be refused.
    if (survey.templateFormat === undefined) await tryTemplates(connection, options)
    await tryIndex(connection, options.indexPrefix)
    return survey
  } finally {
    await connection.close()
  }
}

interface Stats {
  readonly nodes: Readonly<
    Record<
      string,
      {
        readonly timestamp: number
        readonly fs: {
          readonly total: { readonly available_in_bytes: number; readonly total_in_bytes: number }
        }
      }
    >
  >
}

async function look(
  connection: Connection,
  { indexPrefix, nowMs }: OpenSearchSurveyOptions,
): Promise<OpenSearchSurvey> {
  const startedAt = performance.now()
  const root = await connection.send<{ version: { number: string } }>({ method: 'GET', path: '/' })
  const latencyMs = performance.now() - startedAt
  const health = await connection.send<{ status: string; number_of_nodes: number }>({
    method: 'GET',
    path: '/_cluster/health',
  })
  const askedMs = nowMs()
  // A user without the right to monitor can still write.
  const stats = await connection.send<Partial<Stats>>({
    method: 'GET',
    path: '/_nodes/stats/fs',
    allowed: [403],
  })
  const answeredMs = nowMs()
  const nodes = Object.values(stats.body.nodes ?? {})
  const [fullest] = nodes.toSorted((a, b) => freeOf(a) - freeOf(b))
  return {
    version: root.body.version.number,
    latencyMs,
    status: health.body.status,
    nodes: health.body.number_of_nodes,
    freeBytes: fullest === undefined ? 0 : freeOf(fullest),
    diskBytes: fullest?.fs.total.total_in_bytes ?? 0,
    templateFormat: await templateFormat(connection, indexPrefix),
    templateFormatKnown: templateVersion,
    blocked: await blockedIndices(connection, indexPrefix),
    time: { serverMs: nodes[0]?.timestamp ?? askedMs, askedMs, answeredMs },
  }
}

function freeOf(node: Stats['nodes'][string]): number {
  return node.fs.total.available_in_bytes
}

async function templateFormat(connection: Connection, prefix: string): Promise<number | undefined> {
  const { body } = await connection.send<{
    readonly index_templates?: readonly { readonly index_template: { readonly version?: number } }[]
  }>({ method: 'GET', path: `/_index_template/${prefix}-traces`, allowed: [404] })
  return body.index_templates?.[0]?.index_template.version
}

async function blockedIndices(connection: Connection, prefix: string): Promise<string[]> {
  const { body } = await connection.send<
    Record<string, { settings?: { index?: { blocks?: Record<string, string> } } }>
  >({
    method: 'GET',
    path: `/${prefix}-*/_settings/index.blocks.*`,
    querystring: { allow_no_indices: true, ignore_unavailable: true },
    allowed: [403, 404],
  })
  return Object.entries(body)
    .filter(([, index]) => typeof index === 'object')
    .filter(([, { settings }]) => Object.values(settings?.index?.blocks ?? {}).includes('true'))
    .map(([name]) => name)
    .filter(name => parseIndexName(prefix, name) !== undefined)
    .toSorted()
}

/** What the templates would make of an index, without their being put. */
async function tryTemplates(
  connection: Connection,
  { indexPrefix, shards, replicas }: OpenSearchSurveyOptions,
): Promise<void> {
  const [, first] = templates(indexPrefix, { shards, replicas })
  // Without the component, which need not be there yet.
  const body = { ...first?.body, composed_of: [] }
  await refusing(connection, 'putting index templates', () =>
    connection.send({ method: 'POST', path: '/_index_template/_simulate', body }),
  )
}

const anyIndex = { ignore_unavailable: true }

async function tryIndex(connection: Connection, prefix: string): Promise<void> {
  const index = `${prefix}-doctor-${randomUUID()}`
  const settings = { number_of_shards: 1, number_of_replicas: 0 }
  let isMade = false
  try {
    await refusing(connection, `making an index such as ${prefix}-…`, async () => {
      const making = {
        method: 'PUT',
        path: `/${index}`,
        body: { settings },
        allowed: [400],
      } as const
      const { status, body } = await connection.send<{ error?: { type?: string } }>(making)
      // Sent twice, as the first answer was late: it is there.
      const isThere = body.error?.type === 'resource_already_exists_exception'
      if (status === 400 && !isThere) throw connection.refusal(status, body)
    })
    isMade = true
    await refusing(connection, 'writing a document', () =>
      connection.send({ method: 'PUT', path: `/${index}/_doc/1`, body: { by: 'winnow doctor' } }),
    )
  } finally {
    const removal = { method: 'DELETE', path: `/${index}`, querystring: anyIndex } as const
    if (isMade) await refusing(connection, 'deleting an index', () => connection.send(removal))
    // It may be there although nobody said so; what is wrong has been said.
    else await connection.send(removal).catch(() => {})
  }
}

async function refusing(
  connection: Connection,
  what: string,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof StatusError)) throw error
    const text = error.message.replace(/^\[\w+\] /, '')
    throw new PipelineError('CONFIG_INVALID', `${what}: ${text || connection.address}`, {
      cause: error,
    })
  }
}
