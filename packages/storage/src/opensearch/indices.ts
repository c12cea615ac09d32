import { PipelineError } from '@winnow/runtime'
import type { HotPeriod } from '../hot-period.ts'
import type { Connection } from './connection.ts'
import { type IndexKind, indexPattern, parseIndexName } from './index-names.ts'
import { type IndexShape, templates, templateVersion } from './templates.ts'

/** Names in one request's path, which the server limits to 4 KiB. */
const namesAtOnce = 20

export interface Indices {
  /** Component and index templates; a newer release's are left. */
  putTemplates(): Promise<void>
  /** Makes what is missing, so that no index begins without its template. */
  ensure(names: Iterable<string>): Promise<void>
  /** Ours, also where they are closed. */
  list(): Promise<readonly { readonly name: string; readonly period: HotPeriod }[]>
  remove(names: readonly string[]): Promise<void>
  /** What was there may be gone: `ensure` looks again. */
  forget(): void
  /** Bytes on disks, copies included. */
  bytes(): Promise<number>
  /** The same by index; one that is closed has none here. */
  bytesByName(): Promise<ReadonlyMap<string, number>>
  /** What was written before is found by searches after. */
  refresh(kinds: readonly IndexKind[]): Promise<void>
}

/** Ours, in these states. */
export async function listIndices(
  connection: Connection,
  prefix: string,
  states: 'open,closed' | 'closed',
): ReturnType<Indices['list']> {
  const { body } = await connection.send<{
    readonly indices?: readonly { readonly name: string }[]
  }>({
    method: 'GET',
    path: `/_resolve/index/${prefix}-*`,
    querystring: { expand_wildcards: states },
    allowed: [404],
  })
  return (body.indices ?? []).flatMap(({ name }) => {
    const period = parseIndexName(prefix, name)
    return period === undefined ? [] : [{ name, period }]
  })
}

/** The indices of one prefix. Any number of processes may make the same at once. */
export function indicesOf(connection: Connection, prefix: string, shape: IndexShape): Indices {
  let known = new Set<string>()
  const create = async (name: string): Promise<void> => {
    const { status, body } = await connection.send<ErrorBody>({
      method: 'PUT',
      path: `/${name}`,
      allowed: [400, 403, 429],
    })
    const type = body.error?.type
    // Of a block every document is told by its own index, with the remedy.
    const isThere =
      status < 300 ||
      type === 'resource_already_exists_exception' ||
      type === 'cluster_block_exception'
    if (!isThere && status === 400) {
      const why = `index ${name} cannot be made (${type}: ${body.error?.reason})`
      throw new PipelineError('STORE_UNAVAILABLE', `hot ${connection.address}: ${why}`)
    }
    if (!isThere) throw connection.refusal(status, body)
    known.add(name)
  }
  const list: Indices['list'] = () => listIndices(connection, prefix, 'open,closed')
  const bytesByName: Indices['bytesByName'] = async () => {
    const { body } = await connection.send<{
      readonly indices?: Readonly<Record<string, IndexStats>>
    }>({
      method: 'GET',
      path: `/${prefix}-*/_stats/store`,
      querystring: { filter_path: 'indices.*.total.store.size_in_bytes' },
    })
    const own = Object.entries(body.indices ?? {}).filter(
      ([name]) => parseIndexName(prefix, name) !== undefined,
    )
    return new Map(own.map(([name, { total }]) => [name, total.store.size_in_bytes]))
  }
  return {
    list,
    putTemplates: async () => {
      for (const { path, body } of templates(prefix, shape)) {
        if ((await heldVersion(connection, path)) > templateVersion) continue
        await connection.send({ method: 'PUT', path: `/${path}`, body })
      }
    },
    ensure: async names => {
      for (const name of names) if (!known.has(name)) await create(name)
    },
    forget: () => known.clear(),
    remove: async names => {
      for (let at = 0; at < names.length; at += namesAtOnce) {
        const some = names.slice(at, at + namesAtOnce)
        for (const name of some) known.delete(name)
        await connection.send({
          method: 'DELETE',
          path: `/${some.join(',')}`,
          querystring: { ignore_unavailable: true },
        })
      }
      // What somebody else removed is made again before it is written to, with its template.
      const there = new Set((await list()).map(({ name }) => name))
      known = new Set([...known].filter(name => there.has(name)))
    },
    bytes: async () => [...(await bytesByName()).values()].reduce((sum, one) => sum + one, 0),
    bytesByName,
    refresh: async kinds => {
      const patterns = kinds.map(kind => indexPattern(prefix, kind))
      await connection.send({
        method: 'POST',
        path: `/${patterns.join(',')}/_refresh`,
        querystring: { ignore_unavailable: true, allow_no_indices: true },
        // Whoever may only read sees what the server shows by itself, a second later.
        allowed: [403],
      })
    },
  }
}

interface ErrorBody {
  readonly error?: { readonly type?: string; readonly reason?: string }
}

interface IndexStats {
  readonly total: { readonly store: { readonly size_in_bytes: number } }
}

/** 0: not there. */
async function heldVersion(connection: Connection, path: string): Promise<number> {
  const { status, body } = await connection.send<
    Readonly<
      Record<string, readonly Readonly<Record<string, { readonly version?: number }>>[] | undefined>
    >
  >({ method: 'GET', path: `/${path}`, allowed: [404] })
  if (status === 404) return 0
  const isComponent = path.startsWith('_component')
  const [entry] = body[isComponent ? 'component_templates' : 'index_templates'] ?? []
  return entry?.[isComponent ? 'component_template' : 'index_template']?.version ?? 0
}
