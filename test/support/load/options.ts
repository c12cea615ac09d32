import { commandOptions, count } from '../command-line.ts'

export interface LoadOptions {
  readonly spans: number
  readonly warmUpSpans: number
  readonly connections: number
  readonly rate: number | undefined
  readonly runs: number
  readonly quietMs: number
  readonly profile: boolean
  readonly memory: boolean
  readonly cost: boolean
  readonly stages: boolean
  /** One row of `stages` alone. */
  readonly stage: string | undefined
  readonly kafka: boolean
  readonly stack: boolean
  readonly json: boolean
}

export const usage = `npm run load -- [options]
  --spans N         a run, after the warm-up (1000000)
  --warm-up N       spans before it (200000)
  --connections N   (8)
  --rate N          spans a second; without it as fast as they are acknowledged
  --runs N          the median of so many by CPU is told (1)
  --quiet MS        silence after which a trace closes (500; 5000 with --rate)
  --profile         also where the CPU of each thread goes; it costs some itself
  --cost            also what a month of it costs, and what other policies would: winnow cost, once it has ended
  --memory          instead: what an open trace takes, between 50,000 and 500,000 of them
  --stages          instead: the stages before the writer, one more each time; --stage ROW: one alone
  --kafka           over a broker (TEST_KAFKA=host:port, else one is started)
  --stack           a process for each stage, on Kafka, Redis, OpenSearch and S3 that are started for it
  --json            one object on standard output`

export function loadOptions(): LoadOptions {
  const values = commandOptions(usage, {
    spans: { type: 'string', default: '1000000' },
    'warm-up': { type: 'string', default: '200000' },
    connections: { type: 'string', default: '8' },
    rate: { type: 'string' },
    runs: { type: 'string', default: '1' },
    quiet: { type: 'string' },
    profile: { type: 'boolean', default: false },
    cost: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    stages: { type: 'boolean', default: false },
    stage: { type: 'string' },
    kafka: { type: 'boolean', default: false },
    stack: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  })
  const rate = values.rate === undefined ? undefined : count('rate', values.rate)
  return {
    spans: count('spans', values.spans),
    warmUpSpans: count('warm-up', values['warm-up']),
    connections: count('connections', values.connections),
    rate,
    runs: count('runs', values.runs),
    quietMs: count('quiet', values.quiet ?? (rate === undefined ? '500' : '5000')),
    profile: values.profile,
    cost: values.cost,
    memory: values.memory,
    stages: values.stages || values.stage !== undefined,
    stage: values.stage,
    kafka: values.kafka,
    stack: values.stack,
    json: values.json,
  }
}
