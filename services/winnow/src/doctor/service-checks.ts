import { systemClock } from '@winnow/runtime'
import { surveyOpenSearch, surveyRedis } from '@winnow/storage'
import { opensearchOptions } from '../config/opensearch-config.ts'
import { redisAccess } from '../config/redis-config.ts'
import type { Config } from '../program-config.ts'
import { clockFinding } from './clock-check.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

const mebibyte = 1024 ** 2
/** Who asks on behalf of a person gives up sooner than who writes. */
const requestTimeoutMs = 5_000
/** OpenSearch fills no node further than its low watermark, and blocks writes at the flood stage. */
const diskUsedMax = 0.85

const shown = (bytes: number): string => `${Math.round(bytes / mebibyte)} MiB`

/** What is an address in `hot`: OpenSearch. */
export async function lookAtOpenSearch(config: Config): Promise<Finding[]> {
  const survey = await surveyOpenSearch({
    ...opensearchOptions(config),
    requestTimeoutMs,
    nowMs: () => systemClock.nowMs(),
  })
  const { version, latencyMs, nodes, status, freeBytes, diskBytes } = survey
  const reach = `${config.hot}: OpenSearch ${version} answers in ${latencyMs.toFixed(1)} ms, ${nodes} nodes, ${status}; templates, indices and documents can be made and deleted`
  return [
    status === 'red'
      ? failed('hot', reach, 'see GET /_cluster/allocation/explain: a shard has no node')
      : ok('hot', reach),
    templateFinding(survey),
    ...survey.blocked.map(index =>
      failed(
        'hot',
        `index ${index} takes no writes`,
        `give its disk room, or lift index.blocks.* with PUT /${index}/_settings`,
      ),
    ),
    ...(diskBytes > 0 ? [roomFinding(freeBytes, diskBytes)] : []),
    clockFinding('hot', { ...survey.time, stepMs: 0 }),
  ]
}

function roomFinding(freeBytes: number, diskBytes: number): Finding {
  const found = `${shown(freeBytes)} of ${shown(diskBytes)} free on the fullest node`
  return freeBytes / diskBytes < 1 - diskUsedMax
    ? warning('hot', found, 'add disk or nodes')
    : ok('hot', found)
}

function templateFinding(survey: {
  readonly templateFormat: number | undefined
  readonly templateFormatKnown: number
}): Finding {
  const { templateFormat, templateFormatKnown } = survey
  if (templateFormat === undefined) return ok('hot', 'templates will be put by the first writer')
  if (templateFormat <= templateFormatKnown)
    return ok('hot', `templates of format ${templateFormat}`)
  return warning(
    'hot',
    `templates of format ${templateFormat}, this release puts ${templateFormatKnown}`,
    'a newer release runs there: upgrade this one too',
  )
}

/** What `buffer` names: Redis. */
export async function lookAtRedis(config: Config): Promise<Finding[]> {
  const survey = await surveyRedis({
    address: config.buffer,
    ...redisAccess(config),
    clientName: 'winnow-doctor',
    nowMs: () => systemClock.nowMs(),
  })
  const { version, latencyMs, usedBytes, memoryBytesMax, policy } = survey
  const { bytesMax } = config.redis
  const memory = `${shown(usedBytes)} used, maxmemory ${memoryBytesMax === 0 ? 'not set' : shown(memoryBytesMax)} (${policy})`
  return [
    ok(
      'buffer',
      `${config.buffer}: Redis ${version} answers in ${latencyMs.toFixed(1)} ms; put and ranged read work`,
    ),
    memoryBytesMax > 0 && memoryBytesMax < bytesMax
      ? warning(
          'redis.bytesMax',
          `${shown(bytesMax)} a process, and ${memory}`,
          'what does not fit is read from the bus: give Redis more, or lower redis.bytesMax',
        )
      : ok('buffer', memory),
    clockFinding('buffer', { ...survey.time, stepMs: 0 }),
  ]
}
