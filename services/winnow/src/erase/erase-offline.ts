import { type Bus, topicSpecs } from '@winnow/bus'
import { type ColdHashers, overrideLevels } from '@winnow/privacy'
import { createLog, type Log, systemClock } from '@winnow/runtime'
import {
  Eraser,
  ErasureDesk,
  Erasures,
  erasuresMax,
  isActive,
  type ShownErasure,
} from '@winnow/writer'
import { busConfig } from '../command-config.ts'
import { coldHashersOf, tokenKeyCheckOf } from '../config/privacy-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openBus } from '../open-bus.ts'
import { openBlobStore, openHotStore } from '../open-stores.ts'
import type { Config } from '../program-config.ts'
import type { EraseOptions, ErasureOffice } from './erase-command.ts'
import { redactText } from './redact-text.ts'

/** Nobody else writes to a folder that is open here. */
const settleMs = 0

/**
 * The stores that the configuration names. Of files they are opened by this process, while no other has them: what
 * is asked for is removed before it answers; what only time removes, the next process that runs here waits for. On
 * Kafka the fleet's writer does the work, as it does what its query is asked for: two at once would be one too many.
 */
export async function withFolder(
  options: EraseOptions,
  work: (office: ErasureOffice) => Promise<void>,
): Promise<void> {
  const config = busConfig(options)
  overrideLevels(config.levels)
  const { tenant = 'default' } = options
  const log = createLog(systemClock)
  const specs = topicSpecs({ ...config.topics, retentionMs: config.retention })
  const bus = await openBus(config, specs, log)
  const isFleet = config.bus !== 'file'
  const hashers = coldHashersOf(config, log, { isWriter: false })
  const erasures = new Erasures({ bus, control: specs.control.name, clock: systemClock, log })
  const redact = redactText(config)
  const desk = new ErasureDesk({
    bus,
    control: specs.control.name,
    hashers,
    erasures,
    ...(redact && { redact }),
    clock: systemClock,
  })
  const own = isFleet ? undefined : await openOwn(config, { bus, specs, hashers, erasures, log })
  const status = async (id: string): Promise<ShownErasure> => {
    const found = await desk.status(tenant, id)
    if (found !== undefined) return found
    throw new CommandEnd(exitCode.no, `no erasure ${id} of tenant ${tenant}; --list shows them`)
  }
  const advance = async (id: string): Promise<void> => {
    const erasure = erasures.get(id)
    if (own !== undefined && erasure !== undefined && isActive(erasure)) {
      await own.eraser.advance(erasure, new AbortController().signal)
    }
  }
  try {
    await work({
      ask: async request => {
        const asked = await desk.ask({ tenant, ...request })
        if (asked.kind === 'unavailable') throw new CommandEnd(exitCode.no, asked.remedy)
        if (asked.kind === 'refused') throw new CommandEnd(exitCode.usage, refusal(asked))
        await advance(asked.erasure.id)
        return status(asked.erasure.id)
      },
      // One that another process left is gone on with.
      status: async id => {
        await status(id)
        await advance(id)
        return status(id)
      },
      list: async () => (await desk.list(tenant, { limit: erasuresMax }))?.erasures ?? [],
    })
  } finally {
    await own?.hot.close()
    await own?.blobs.close()
    await bus.close()
  }
}

interface Shared {
  readonly bus: Bus
  readonly specs: ReturnType<typeof topicSpecs>
  readonly hashers: ColdHashers
  readonly erasures: Erasures
  readonly log: Log
}

/** What removes things from the stores of a folder. */
async function openOwn(config: Config, { bus, specs, hashers, erasures, log }: Shared) {
  const hot = await openHotStore(config, { mayWrite: true, log })
  const blobs = await openBlobStore(config, { mayWrite: true, log })
  const eraser = new Eraser({
    bus,
    topics: {
      spans: specs.spans.name,
      evidence: specs.evidence.name,
      decisions: specs.decisions.name,
      control: specs.control.name,
    },
    hot,
    blobs,
    hashers,
    tokenKeyCheck: whose => tokenKeyCheckOf(config, whose),
    erasures,
    retentionMs: config.retention,
    bufferLifeMs: config.buffer === 'none' ? 0 : config.redis.recordLife,
    settleMs,
    clock: systemClock,
    log,
  })
  return { hot, blobs, eraser }
}

function refusal({
  field,
  value,
  remedy,
}: {
  field: string
  value?: string
  remedy: string
}): string {
  return `${field}${value === undefined ? '' : ` "${value}"`}: ${remedy}`
}
