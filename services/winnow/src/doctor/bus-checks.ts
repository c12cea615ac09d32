import { join } from 'node:path'
import { type KafkaSurvey, surveyFolder } from '@winnow/bus'
import { createLog, systemClock } from '@winnow/runtime'
import type { Config } from '../program-config.ts'
import { specsOf } from '../topics/topic-plan.ts'
import { type Check, type Finding, ok } from './finding.ts'
import { askKafka, kafkaFindings, lastRecordFindings } from './kafka-checks.ts'

/** What the bus is asked, and what others have to know of it. */
export interface BusLook {
  readonly checks: readonly Check[]
  /** Of `decisions`; undefined where it is not there, or cannot be asked. */
  logId(): Promise<string | undefined>
}

export function busLook(config: Config): BusLook {
  return config.bus === 'file' ? folderLook(config) : kafkaLook(config)
}

function folderLook(config: Config): BusLook {
  const folder = join(config.data, 'bus')
  const specs = specsOf(config)
  const survey = surveyFolder(folder, Object.values(specs))
  survey.catch(() => {})
  const look = async (): Promise<Finding[]> => {
    const found = await survey
    if (found === undefined) return [ok('bus', `file: ${folder} will be made`)]
    const bytes = found.logs.reduce((sum, log) => sum + log.bytes, 0)
    const held =
      found.heldBy === undefined ? 'no process holds it' : `held by process ${found.heldBy}`
    return [
      ok(
        'bus',
        `file: ${found.logs.length} topics of ${config.topics.partitions} partitions, ${(bytes / 1024 ** 2).toFixed(1)} MiB, format ${found.logs[0]?.format ?? 1}, ${held}`,
      ),
    ]
  }
  return {
    checks: [{ key: 'bus', look }],
    logId: async () => {
      const found = await survey.catch(() => undefined)
      return found?.logs.find(({ spec }) => spec === specs.decisions)?.logId
    },
  }
}

function kafkaLook(config: Config): BusLook {
  // What kafkajs has to say is in the finding.
  const log = createLog(systemClock, () => {})
  const survey: Promise<KafkaSurvey> = askKafka(config, log)
  survey.catch(() => {})
  const decisions = specsOf(config).decisions.name
  return {
    checks: [
      { key: 'bus', look: async () => kafkaFindings(await survey, config) },
      { key: 'bus', look: () => lastRecordFindings(config, log) },
    ],
    logId: async () => {
      const found = await survey.catch(() => undefined)
      const topic = found?.topics.find(({ spec }) => spec.name === decisions)
      return topic?.kind === 'found' ? topic.logId : undefined
    },
  }
}
