import type { Erasure } from './erasure-record.ts'

/**
 * What a receipt cannot say to be gone. Of everything else it says what was removed, or until when time will have
 * (`waitsFor`).
 */
export function notReachedBy({ field }: Pick<Erasure, 'field'>): readonly string[] {
  return field === 'trace.id' ? ofEvery : [...ofAttribute, ...ofEvery]
}

const ofAttribute = [
  'dropped traces that had left the topic spans, and whose attribute no rule had asked for: nothing that is stored says whose they were; erase them by trace.id',
  'rows of cold that were hashed with a key since destroyed, of traces that bus, ledger and warm have no more: they can be linked to nobody',
  'traces that name the subject by another attribute or value',
]

const ofEvery = [
  'the accounting of each decision in the ledger, and trace ids in id indexes and snapshots: they name nobody',
  'older versions in a bucket with versioning, backups, and copies that somebody exported',
  'blocks that a disk or a file system keeps after they were overwritten',
]
