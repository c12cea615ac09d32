import { join } from 'node:path'
import { Metrics, silentLog, systemClock } from '@winnow/runtime'
import {
  type BlobStore,
  FileBlobStore,
  type HotStore,
  type LifecycleSurvey,
  OpenSearchHotStore,
  RedisTraceBuffer,
  S3BlobStore,
  SqliteHotStore,
  surveyLifecycle,
  type TraceBuffer,
} from '@winnow/storage'
import { opensearchOptions } from './config/opensearch-config.ts'
import { redisAccess } from './config/redis-config.ts'
import { s3Options } from './config/s3-config.ts'
import { makeFolder } from './make-folder.ts'
import { hotProbe } from './probe.ts'
import type { Config } from './program-config.ts'
import type { StageContext, StageName } from './stages/stage.ts'

// The one place that knows which adapter a store's key names; each is loaded only where it is named.

/** Of the stage that opens a store: what the store has to say is said there. */
type StoreContext = Pick<StageContext, 'log' | 'metrics' | 'health'>

/** The hot store that `hot` names. `mayWrite`: who only reads puts no templates. */
export async function openHotStore(
  config: Config,
  { mayWrite, log, metrics, health }: Partial<StoreContext> & { readonly mayWrite: boolean },
): Promise<HotStore> {
  if (config.hot === 'sqlite') {
    makeFolder(config.data)
    const sqlite = new SqliteHotStore(join(config.data, 'hot'))
    const probe = hotProbe(sqlite)
    health?.register('hot', () => probe.read())
    return sqlite
  }
  const hot = await OpenSearchHotStore.open({
    ...opensearchOptions(config),
    mayWrite,
    ...(log !== undefined && { log }),
    ...(metrics !== undefined && { metrics }),
  })
  health?.register('hot', () => hot.health())
  return hot
}

/** The blob store that `blobs` names. `mayWrite`: who only reads makes no folder and tries no more than that. */
export async function openBlobStore(
  config: Config,
  context: Partial<Pick<StoreContext, 'log' | 'metrics'>> & { readonly mayWrite: boolean },
): Promise<BlobStore> {
  const { mayWrite, log = silentLog, metrics = new Metrics() } = context
  if (config.blobs === 'folder') return openFolder(config, mayWrite)
  return S3BlobStore.open({ ...s3Options(config), mayWrite, log, metrics })
}

/** The rules of the bucket that `blobs` names, beside what is configured. */
export async function lifecycleSurvey(config: Config): Promise<LifecycleSurvey> {
  const { warmLife: warm, coldLife: cold, ledgerLife: ledger } = config.writer
  return surveyLifecycle(
    { ...s3Options(config), mayWrite: false, log: silentLog, metrics: new Metrics() },
    { warm, cold, ledger },
    config.s3.lifecycle,
  )
}

async function openFolder({ data }: Config, mayWrite: boolean): Promise<BlobStore> {
  const folder = join(data, 'blobs')
  if (!mayWrite) return FileBlobStore.existing(folder)
  makeFolder(data)
  return FileBlobStore.open(folder)
}

/**
 * The trace buffer that `buffer` names; undefined: none, records are read from the bus alone. It is there
 * also where its server is not, and then says so, in the log and in `health`.
 */
export async function openTraceBuffer(
  { buffer, redis }: Config,
  stage: StageName,
  { log, metrics, health }: Pick<StageContext, 'log' | 'metrics' | 'health'>,
): Promise<TraceBuffer | undefined> {
  if (buffer === 'none') return undefined
  const opened = await RedisTraceBuffer.open({
    address: buffer,
    ...redisAccess({ redis }),
    clientName: `winnow-${stage}`,
    recordLifeMs: redis.recordLife,
    bytesMax: redis.bytesMax,
    answerWaitMs: redis.answerWait,
    stage,
    clock: systemClock,
    log,
    metrics,
  })
  health.register('buffer', () => opened.health())
  return opened
}
