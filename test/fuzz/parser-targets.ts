import { readFileSync } from 'node:fs'
import { sliceReader } from '@winnow/assembler'
import {
  decodeTenantRuns,
  encodeTenantRuns,
  evaluationsFrom,
  packedSlices,
  parseDecision,
  parseDecisionHead,
} from '@winnow/model'
import {
  countDataPoints,
  decodeExportResponse,
  decodeLogs,
  decodeStatus,
  decodeTraces,
  encodeExportResponse,
  encodeStatus,
  encodeTraces,
  fullSuccess,
  logsFromJson,
  tracesFromJson,
} from '@winnow/otlp'
import { ManualClock } from '@winnow/runtime'
import { checkPolicy, decodeBaselines } from '@winnow/sampler'
import {
  lookUpInSnapshot,
  MemoryBlobStore,
  openSnapshot,
  readAllLedger,
  readAllSpans,
  readIndexSnapshot,
  readLedgerRow,
  readSegmentMetadata,
  readTraceLedger,
  readTraceSpans,
} from '@winnow/storage'
import { trace48f } from '@winnow/testing'
import { goldenSpans } from '../../packages/storage/src/golden/golden.ts'
import { decodeCheckpoint } from '../../services/assembler/src/checkpoint.ts'
import { parseEvidence } from '../../services/sampler/src/evidence-record.ts'
import { loadConfig } from '../../services/winnow/src/program-config.ts'
import type { FuzzTarget, Outcome } from './fuzz.ts'

const root = new URL('../../', import.meta.url)
const file = (path: string): Buffer => readFileSync(new URL(path, root))
const example = (name: string): Buffer => file(`services/receiver/examples/${name}`)
const text = (value: string): Uint8Array => Buffer.from(value)
const taken = (isTaken: boolean): Outcome => (isTaken ? 'taken' : 'refused')

const request = encodeTraces(trace48f())
const slices = sliceReader()
const goldenTraceId = goldenSpans[0]?.trace_id ?? ''
const [packed] = JSON.parse(file('packages/model/src/golden/packed-slice.v1.jsonl').toString())

/** Everything that reads bytes from outside, or from a log or store that a fault may have touched. */
export const parserTargets: readonly FuzzTarget[] = [
  {
    name: 'OTLP protobuf: traces',
    weight: 4,
    seeds: [example('trace.pb'), request],
    run: input => taken(decodeTraces(input).resourceSpans.length >= 0),
  },
  {
    name: 'OTLP protobuf: logs',
    weight: 2,
    seeds: [example('logs.pb')],
    run: input => taken(decodeLogs(input).resourceLogs.length >= 0),
  },
  {
    name: 'OTLP protobuf: metrics',
    weight: 1,
    seeds: [example('metrics.pb')],
    run: input => taken(countDataPoints(input) >= 0),
  },
  {
    name: 'OTLP protobuf: answers',
    weight: 1,
    seeds: [encodeExportResponse(fullSuccess), encodeStatus({ code: 14, message: 'later' })],
    run: input => {
      decodeStatus(input)
      return taken(decodeExportResponse(input) !== undefined)
    },
  },
  {
    name: 'OTLP JSON: traces',
    weight: 3,
    seeds: [example('trace.json')],
    run: input => taken(tracesFromJson(input.toString()).data.resourceSpans.length >= 0),
  },
  {
    name: 'OTLP JSON: logs',
    weight: 2,
    seeds: [example('logs.json')],
    run: input => taken(logsFromJson(input.toString()).data.resourceLogs.length >= 0),
  },
  {
    name: 'record of spans: slices and facts',
    weight: 4,
    seeds: [request],
    run: input => {
      let spans = 0
      const header = encodeTenantRuns([{ tenant: 'a', start: 0, length: input.length }])
      for (const slice of slices(input, header)) spans += slice.spanCount
      return taken(spans >= 0)
    },
  },
  {
    name: 'header of spans',
    weight: 2,
    seeds: [file('packages/model/src/golden/tenant-runs.v1.jsonl')],
    run: input => taken(decodeTenantRuns(input) !== undefined),
  },
  {
    name: 'record of evidence',
    weight: 4,
    seeds: [
      ...lines('services/assembler/src/golden/summary.v1.jsonl'),
      ...lines('packages/model/src/golden/evaluation.v1.jsonl'),
      ...lines('packages/model/src/golden/request.v1.jsonl'),
    ],
    run: input => taken(parseEvidence(input, 'evidence/0@0').ok),
  },
  {
    name: 'packed slices',
    weight: 4,
    seeds: [Buffer.from(packed, 'base64'), text(`"${packed}","${packed}"`)],
    run: input => {
      const read = packedSlices(`"${input.toString('base64')}"`) ?? packedSlices(input.toString())
      return taken(read?.every(({ isWhole, facts }) => isWhole && facts.spans !== '') === true)
    },
  },
  {
    name: 'record of decisions',
    weight: 4,
    seeds: [
      ...lines('services/sampler/src/golden/decision.v1.jsonl'),
      ...lines('services/sampler/src/golden/claim.v1.jsonl'),
    ],
    run: input => {
      const whole = parseDecision(input.toString()).kind
      return taken(parseDecisionHead(input.toString()).kind === 'record' && whole === 'record')
    },
  },
  {
    name: 'record of baselines',
    weight: 2,
    seeds: lines('services/sampler/src/golden/baselines.v1.jsonl'),
    run: input => taken(decodeBaselines(input) !== undefined),
  },
  {
    name: 'evaluations of a client',
    weight: 3,
    seeds: [
      text(JSON.stringify({ traceId: 'a'.repeat(32), name: 'csat', score: 2, label: 'bad' })),
      text(JSON.stringify([{ traceId: 'b'.repeat(32), name: 'judge', passed: false, id: 'x' }])),
    ],
    run: input => taken(evaluationsFrom('a', parsed(input)).kind === 'evaluations'),
  },
  {
    name: 'policy file',
    weight: 2,
    seeds: [file('docs/examples/policy.yaml')],
    run: input => taken(checkPolicy(input.toString()).ok),
  },
  {
    name: 'configuration file',
    weight: 2,
    seeds: [file('winnow.example.yaml')],
    run: input => {
      loadConfig({ file: 'f', env: {}, options: {}, readFile: () => input.toString() })
      return 'taken'
    },
  },
  {
    name: 'index snapshot',
    weight: 2,
    seeds: [file('packages/storage/src/index/golden/snapshot-v1.idx')],
    run: async input => {
      const store = new MemoryBlobStore(new ManualClock())
      const key = 'index/p=0003/log-1-000000005000.idx'
      await store.create(key, input)
      const snapshot = await openSnapshot(store, key)
      if (snapshot !== undefined) await lookUpInSnapshot(store, snapshot, 'default', 'a'.repeat(32))
      return taken((await readIndexSnapshot(store, key, () => {})) !== undefined)
    },
  },
  {
    name: 'checkpoint of open traces',
    weight: 2,
    seeds: [file('services/assembler/src/golden/checkpoint.v1.bin')],
    run: input => taken(typeof decodeCheckpoint(input, checkpointOwner) === 'object'),
  },
  {
    name: 'Parquet segments, footer and pages',
    weight: 2,
    seeds: ['ledger', 'warm', 'cold'].map(tier =>
      file(`packages/storage/src/golden/${tier}-v1.parquet`),
    ),
    run: async input => {
      const store = new MemoryBlobStore(new ManualClock())
      const key = 'warm/a.parquet'
      await store.create(key, input)
      const metadata = await readSegmentMetadata(store, key)
      const id = goldenTraceId
      if (metadata?.tier === 'ledger') {
        await readAllLedger(store, key)
        await readTraceLedger(store, key, 'default', id)
        await readLedgerRow(store, { key, bytes: input.length, row: 1 })
      } else {
        await readAllSpans(store, key)
        await readTraceSpans(store, key, 'default', id)
      }
      return taken(metadata !== undefined)
    },
  },
]

const checkpointOwner = {
  logId: '018f4d2e-5b6a-4c3d-9e8f-0a1b2c3d4e5f',
  group: 'assembler',
  partition: 7,
}

function lines(path: string): Uint8Array[] {
  return file(path).toString().trimEnd().split('\n').map(text)
}

/** As the HTTP handler does: bytes that are no JSON are answered before. */
function parsed(input: Buffer): unknown {
  try {
    return JSON.parse(input.toString())
  } catch {
    return undefined
  }
}
