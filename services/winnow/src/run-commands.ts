import process from 'node:process'
import type { Command } from 'commander'
import type { RunOptions, UpOptions } from './run.ts'
import type { StageName } from './stages/stage.ts'

/** The commands that run the pipeline: whole, or one stage of it. */
export function registerRunCommands(program: Command): void {
  registerUp(program)
  for (const name of Object.keys(targets) as StageName[]) registerTarget(program, name)
}

const addressOptions = {
  otlpGrpc: [
    '--otlp-grpc <host:port>',
    'OTLP over gRPC (default 127.0.0.1:4317; port 0 picks a free one)',
  ],
  otlpHttp: ['--otlp-http <host:port>', 'OTLP over HTTP (default 127.0.0.1:4318)'],
  api: ['--api <host:port>', 'the API (default 127.0.0.1:4300)'],
  metrics: ['--metrics <host:port>', '/metrics, /healthz and /readyz (default 127.0.0.1:9464)'],
} as const

interface Target {
  readonly description: string
  /** Beside `metrics`, which every target has. */
  readonly listens: readonly (keyof typeof addressOptions)[]
  readonly example: string
  readonly more: string
}

const targets: Readonly<Record<StageName, Target>> = {
  receiver: {
    description: 'only the receiver: OTLP and evaluations to the bus',
    listens: ['otlpGrpc', 'otlpHttp'],
    example: '--otlp-grpc 127.0.0.1:5317 --otlp-http 127.0.0.1:5318',
    more: 'Any number of them may run; a client may talk to each.',
  },
  assembler: {
    description: 'only the assembler: spans to closed traces',
    listens: [],
    example: '--metrics 127.0.0.1:9465',
    more: 'Those that run share the partitions.',
  },
  sampler: {
    description: 'only the sampler: evidence to decisions',
    listens: [],
    example: '--data /srv/winnow --metrics 127.0.0.1:9466',
    more: 'Those that run share the partitions, the data folder and the policy in force (winnow policy --help).',
  },
  writer: {
    description: 'only the writer: what is kept to the stores',
    listens: [],
    example: '--data /srv/winnow --metrics 127.0.0.1:9467',
    more: 'Those that run share the partitions, and the data folder with the query.',
  },
  query: {
    description: 'only the query: the API over the stores and the decisions',
    listens: ['api'],
    example: '--data /srv/winnow --api 127.0.0.1:4301',
    more: 'It shares the data folder with the writers. A trace that is still open is unknown to it.',
  },
}

function registerUp(program: Command): void {
  const command = program
    .command('up')
    .description('receiver, assembler, sampler, writer and query in one process')
  withOptions(command, ['otlpGrpc', 'otlpHttp', 'api'])
    .option(
      '--demo',
      'send trace 48f, its healthy twin and seeded traffic, then explain what happened',
    )
    .option('--exit', 'end after the demo')
    .addHelpText(
      'after',
      `
Examples:
  $ winnow up                                   OTLP on 4317 and 4318, the API on 4300, data in ./data
  $ winnow up --demo --exit                     see trace 48f kept and explained, then end
  $ WINNOW_BUS=kafka://127.0.0.1:9092 winnow up   the same pipeline through a Kafka broker

SIGTERM and SIGINT drain what was acknowledged and exit 0.`,
    )
    .action(async (options: UpOptions) => {
      const { up } = await import('./run.ts')
      await up(options)
      // All is drained and closed. A client's open connection or a timer must not hold the process.
      process.exit()
    })
}

function registerTarget(program: Command, name: StageName): void {
  const { description, listens, example, more } = targets[name]
  withOptions(program.command(name).description(description), listens)
    .addHelpText(
      'after',
      `
Examples:
  $ WINNOW_BUS=kafka://127.0.0.1:9092 winnow ${name}
  $ winnow ${name} --config winnow.yaml ${example}

It needs a bus that processes share, Kafka; on files \`winnow up\` runs all stages in one process.
${more}
SIGTERM and SIGINT finish what is at hand, give the partitions to those that go on, and exit 0.`,
    )
    .action(async (options: RunOptions) => {
      const { runStage } = await import('./run.ts')
      await runStage(name, options)
      process.exit()
    })
}

function withOptions(command: Command, listens: readonly (keyof typeof addressOptions)[]): Command {
  command
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
  for (const key of [...listens, 'metrics'] as const) {
    const [flags, description] = addressOptions[key]
    command.option(flags, description)
  }
  command.option('--insecure', 'listen beyond this machine without keys; it warns at every start')
  return command.option('--json', 'one line of JSON on standard output once ready')
}
