import process from 'node:process'
import { Command, CommanderError } from 'commander'
import { registerClientCommands } from './client/commands.ts'
import { CommandEnd, exitCode } from './exit-codes.ts'

const program = new Command('winnow')
  .description(
    'Streaming tail sampling for LLM and agent traces: keeps by outcome, loses nothing, says why.',
  )
  .version('0.1.0')
  .showHelpAfterError('(--help shows what is there)')
  .exitOverride()

program
  .command('up')
  .description('receiver, assembler, sampler, writer and query in one process')
  .option('--data <dir>', 'folder of everything that is kept (default ./data)')
  .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
  .option(
    '--otlp-grpc <host:port>',
    'OTLP over gRPC (default 127.0.0.1:4317; port 0 picks a free one)',
  )
  .option('--otlp-http <host:port>', 'OTLP over HTTP (default 127.0.0.1:4318)')
  .option('--api <host:port>', 'the API (default 127.0.0.1:4300)')
  .option('--metrics <host:port>', '/metrics, /healthz and /readyz (default 127.0.0.1:9464)')
  .option(
    '--demo',
    'send trace 48f, its healthy twin and seeded traffic, then explain what happened',
  )
  .option('--exit', 'end after the demo')
  .option('--json', 'one line of JSON on standard output once ready')
  .addHelpText(
    'after',
    `
Examples:
  $ winnow up                                   OTLP on 4317 and 4318, the API on 4300, data in ./data
  $ winnow up --demo --exit                     see trace 48f kept and explained, then end
  $ WINNOW_BUS=kafka://127.0.0.1:9092 winnow up   the same pipeline through a Kafka broker

SIGTERM and SIGINT drain what was acknowledged and exit 0.`,
  )
  .action(async options => {
    const { up } = await import('./up.ts')
    await up(options)
    // All is drained and closed. A client's open connection or a timer must not hold the process.
    process.exit()
  })

registerClientCommands(program)

// A reader that has seen enough, as `| head`, is no failure: the command ends with its own status.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = end(error)
  // Sockets and threads of a failed start must not hold the process.
  if (!(error instanceof CommanderError)) process.exit()
}

function end(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCode.usage
  if (error instanceof CommandEnd) {
    if (error.message !== '') process.stderr.write(`winnow: ${error.message}\n`)
    return error.status
  }
  const code = (error as { code?: unknown }).code
  process.stderr.write(`winnow: ${error instanceof Error ? error.message : String(error)}\n`)
  if (code === 'CONFIG_INVALID') return exitCode.usage
  return code === 'BUS_UNAVAILABLE' ? exitCode.unreachable : 70
}
