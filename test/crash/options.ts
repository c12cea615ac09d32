import { randomInt } from 'node:crypto'
import { commandOptions, count } from '../support/command-line.ts'

const usage = `npm run crash -- [options]
Real processes under traffic, killed with -9 again and again, then held to account: the API against
an oracle, verify, the topics and the segments. Exits with 1 on any violation, 2 on wrong use.
  --kills N   (20)
  --kafka     every stage a process, over a broker that is started for it (Java and Maven); else \`winnow up\`
  --term      SIGTERM instead of -9
  --seed N    of traffic and moments (random; it is printed)`

export interface CrashOptions {
  readonly kills: number
  readonly isKafka: boolean
  readonly isTerm: boolean
  readonly seed: number
}

export function crashOptions(): CrashOptions {
  const values = commandOptions(usage, {
    kafka: { type: 'boolean', default: false },
    kills: { type: 'string', default: '20' },
    term: { type: 'boolean', default: false },
    seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
  })
  return {
    kills: count('kills', values.kills),
    isKafka: values.kafka,
    isTerm: values.term,
    seed: count('seed', values.seed, 0),
  }
}
