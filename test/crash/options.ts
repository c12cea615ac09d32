import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'

export const usage = `npm run crash -- [options]
Real processes under traffic, killed with -9 again and again, then held to account: the API against
an oracle, verify, the topics and the segments. Exits with 1 on any violation, 2 on wrong use.
  --kills N   (20)
  --kafka     every stage a process, over a broker that is started for it (Java and Maven); else \`winnow up\`
  --term      SIGTERM instead of -9
  --seed N    of traffic and moments (random; it is printed)
  --help`

export interface CrashOptions {
  readonly kills: number
  readonly isKafka: boolean
  readonly isTerm: boolean
  readonly seed: number
}

/** Undefined: help was asked for. Throws on wrong use, with what is wrong. */
export function crashOptions(args: readonly string[]): CrashOptions | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kafka: { type: 'boolean', default: false },
      kills: { type: 'string', default: '20' },
      term: { type: 'boolean', default: false },
      seed: { type: 'string', default: `${randomInt(2 ** 31)}` },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    kills: count('kills', values.kills, 1),
    isKafka: values.kafka,
    isTerm: values.term,
    seed: count('seed', values.seed, 0),
  }
}

function count(name: string, text: string, min: number): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= min) return value
  throw new Error(`--${name} is ${text}; give a whole number, ${min} or more`)
}
