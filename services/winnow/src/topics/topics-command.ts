import process from 'node:process'
import { surveyKafka } from '@winnow/bus'
import { createLog, systemClock } from '@winnow/runtime'
import { commandConfig } from '../command-config.ts'
import { CommandEnd, exitCode } from '../exit-codes.ts'
import { kafkaOptions } from '../open-bus.ts'
import type { Config } from '../program-config.ts'
import { specsOf, topicPlan } from './topic-plan.ts'
import { topicsReport } from './topics-report.ts'
import { planText, reportText } from './topics-text.ts'

export interface TopicsOptions {
  readonly plan?: boolean
  readonly config?: string
  readonly json?: boolean
  readonly principal?: string
}

/** `winnow topics`: what the cluster has beside what the configuration wants, or what to make there. */
export async function topicsCommand(options: TopicsOptions): Promise<void> {
  if (options.principal !== undefined && !options.plan) {
    throw new CommandEnd(exitCode.usage, '--principal goes into the rights to give: add --plan')
  }
  if (options.principal !== undefined && !/^\w+:\S/.test(options.principal)) {
    const remedy = 'give its type and name, as User:winnow'
    throw new CommandEnd(exitCode.usage, `--principal "${options.principal}": ${remedy}`)
  }
  const config = commandConfig(options)
  if (options.plan) {
    showPlan(config, options)
    return
  }
  if (config.bus === 'file') {
    throw new CommandEnd(
      exitCode.usage,
      'bus is file, whose topics are made in the data folder: set bus to kafka://HOST:PORT, or add --plan',
    )
  }
  const specs = specsOf(config)
  const survey = await surveyKafka({
    ...kafkaOptions(
      config,
      Object.values(specs),
      createLog(systemClock, () => {}),
    ),
    groups: [],
  })
  const report = topicsReport(survey, config.topics.replication)
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report))
  if (!report.fits) throw new CommandEnd(exitCode.no, '')
}

function showPlan(config: Config, { json, principal }: TopicsOptions): void {
  const plan = topicPlan(config)
  if (json) {
    process.stdout.write(`${JSON.stringify(plan)}\n`)
    return
  }
  const { tls, saslMechanism } = config.kafka
  const text = planText(plan, {
    brokers: config.bus === 'file' ? 'HOST:PORT' : config.bus.slice('kafka://'.length),
    needsLogin: tls || saslMechanism !== undefined,
    ...(principal !== undefined && { principal }),
  })
  process.stdout.write(text)
}
