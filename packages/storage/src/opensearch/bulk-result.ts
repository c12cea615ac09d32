import { assertNever } from '@winnow/model'

/** What a bulk request answers for one document; `filter_path` asks for no more of it. */
export interface BulkItem {
  readonly status: number
  readonly error?: BulkItemError
}

export interface BulkItemError {
  readonly type: string
  readonly reason?: string
  readonly caused_by?: { readonly type?: string; readonly reason?: string }
}

/** What became of one document. */
export type BulkOutcome =
  | { readonly kind: 'written' }
  /** A document of this version or a later one is there: a replay, or an answer that was lost. */
  | { readonly kind: 'known' }
  /** Not now: the node has too much to do. */
  | { readonly kind: 'busy' }
  /** Not before somebody, or the cluster, changes something; `why` says what. */
  | { readonly kind: 'held'; readonly why: string }
  /** Never: this document is one that its index cannot take. */
  | { readonly kind: 'poison'; readonly reason: string }

/** Of a whole answer: an index is one of ours by its name, and no text of a document is in `why`. */
export function outcomeOf({ status, error }: BulkItem, index: string): BulkOutcome {
  if (status < 300) return { kind: 'written' }
  if (status === 409) return { kind: 'known' }
  const type = error?.type ?? 'unknown'
  if (type === 'cluster_block_exception') return { kind: 'held', why: blockText(error, index) }
  if (status === 429) return { kind: 'busy' }
  if (isIndexFault(type) || status === 404) {
    return { kind: 'held', why: faultText(type, index) }
  }
  if (status === 401 || status === 403) {
    return {
      kind: 'held',
      why: `opensearch.username may not write to ${index} (${type}): give it the rights that docs/operations.md lists`,
    }
  }
  if (status >= 500) return { kind: 'held', why: `${index} answers ${status} ${type}` }
  return { kind: 'poison', reason: poisonReason(type, error) }
}

/** Those of the index, not of a document: every other one would be refused likewise. */
function isIndexFault(type: string): boolean {
  return (
    type === 'index_closed_exception' ||
    type === 'index_not_found_exception' ||
    type === 'validation_exception' ||
    type === 'invalid_index_name_exception'
  )
}

function faultText(type: string, index: string): string {
  switch (type) {
    case 'index_closed_exception':
      return `index ${index} is closed: open it (POST /${index}/_open), or delete it`
    case 'validation_exception':
      return `index ${index} cannot be made: the cluster has as many shards as cluster.max_shards_per_node allows; raise it, or lower opensearch.shards and opensearch.replicas`
    default:
      return `index ${index} is not there (${type}); it is made again`
  }
}

/** Blocks are made by people, or by a disk above its flood stage; then the cluster lifts them itself. */
function blockText(error: BulkItemError | undefined, index: string): string {
  const isFlood = /flood|read-only-allow-delete|read-only \/ allow delete/i.test(
    error?.reason ?? '',
  )
  return isFlood
    ? `index ${index} takes no writes since the node's disk is above its flood stage (index.blocks.read_only_allow_delete): give it room; the cluster lifts the block, or you with PUT /${index}/_settings`
    : `index ${index} is read-only (index.blocks.write or read_only): lift it with PUT /${index}/_settings {"index.blocks.write":null}`
}

/** The server's own sentence shows what it could not read: only its kind and the field's name are kept. */
function poisonReason(type: string, error: BulkItemError | undefined): string {
  const text = `${error?.reason ?? ''} ${error?.caused_by?.reason ?? ''}`
  const field = /(?:field|mapping for)(?:=| )["[]([\w.@-]{1,100})["\]]/.exec(text)?.[1]
  return field === undefined ? type : `${type}: ${field}`
}

/** Stands for each kind in metrics. */
export function resultLabel({ kind }: BulkOutcome): string {
  switch (kind) {
    case 'written':
    case 'known':
    case 'busy':
    case 'held':
      return kind
    case 'poison':
      return 'rejected'
    default:
      return assertNever(kind)
  }
}
