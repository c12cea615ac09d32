import { existsSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { topicSpecs } from '@winnow/bus'
import { type LedgerReport, verifyTopics } from '@winnow/query'
import { createLog, systemClock } from '@winnow/runtime'
import { commandConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { openBusForReading } from '../open-bus.ts'
import type { Config } from '../program-config.ts'
import { ProgressLine } from '../progress-line.ts'
import { type ClientOptions, callApi, errorText } from './api-client.ts'

export interface VerifyOptions extends ClientOptions {
  readonly full?: boolean
  readonly allTenants?: boolean
  /** Read the topics themselves: of this folder, or of the bus that the file names. */
  readonly data?: string
  readonly config?: string
}

/**
 * The report of a running query; where nobody names it, and none answers at its usual address, of the
 * topics themselves: then of all tenants.
 */
export async function verifyReport(
  options: VerifyOptions,
  isUrlNamed: boolean,
): Promise<LedgerReport> {
  if (options.data !== undefined || options.config !== undefined)
    return ofTopics(commandConfig(options))
  try {
    return await ofQuery(options)
  } catch (error) {
    const isUnreachable = error instanceof CommandEnd && error.status === exitCode.unreachable
    if (!isUnreachable || isUrlNamed) throw error
    const config = commandConfig(options)
    if (config.bus === 'file' && !existsSync(join(config.data, 'bus'))) {
      throw new CommandEnd(error.status, `${error.message}, or a folder to read with --data`)
    }
    const where = config.bus === 'file' ? config.data : config.bus
    process.stderr.write(`winnow: nobody answers at ${options.url}; reading ${where}\n`)
    return ofTopics(config)
  }
}

async function ofQuery(options: VerifyOptions): Promise<LedgerReport> {
  const progress = new ProgressLine()
  for (;;) {
    const asked = [
      ...(options.full ? ['full'] : []),
      ...(options.allTenants ? ['tenants=all'] : []),
    ]
    const path = `/api/v1/verify${asked.length > 0 ? `?${asked.join('&')}` : ''}`
    const { status, body } = await callApi(options, 'GET', path)
    if (status === 200) return body as LedgerReport
    if (status !== 202) throw new CommandEnd(exitCode.usage, errorText(body))
    const { done, of } = body as { readonly done: number; readonly of: number }
    progress.show(recordsRead(done, of))
  }
}

async function ofTopics(config: Config): Promise<LedgerReport> {
  const specs = topicSpecs({ ...config.topics, retentionMs: config.retention })
  const { spans, evidence, decisions } = specs
  const inFlowOrder = [spans, evidence, decisions]
  const bus = await openBusForReading(config, inFlowOrder, createLog(systemClock))
  const progress = new ProgressLine()
  try {
    return await verifyTopics({
      bus,
      topics: { spans: spans.name, evidence: evidence.name, decisions: decisions.name },
      slicesMax: config.query.verifySlicesMax,
      onProgress: (done, of) => progress.show(recordsRead(done, of)),
    })
  } finally {
    await bus.close()
  }
}

const recordsRead = (done: number, of: number): string => `${done} of ${of} records of spans read`
