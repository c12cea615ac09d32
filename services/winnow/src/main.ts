import process from 'node:process'
import { Command, CommanderError } from 'commander'
import { registerCheckCommands } from './check-commands.ts'
import { registerClientCommands } from './client/commands.ts'
import { registerBacktest, registerPolicyCommands } from './client/policy-commands.ts'
import { registerColdKeys } from './cold-keys/register-cold-keys.ts'
import { registerErase } from './erase/register-erase.ts'
import { CommandEnd, exitCode } from './exit-codes.ts'
import { registerHold } from './hold/register-hold.ts'
import { registerKeyCommands } from './key-commands.ts'
import { registerRunCommands } from './run-commands.ts'
import { endText, isRefusedPath } from './start-error.ts'

const program = new Command('winnow')
  .description(
    'Streaming tail sampling for LLM and agent traces: keeps by outcome, loses nothing, says why.',
  )
  .version('0.1.0')
  .showHelpAfterError('(--help shows what is there)')
  .exitOverride()

registerRunCommands(program)
registerCheckCommands(program)
registerClientCommands(program)
registerPolicyCommands(program)
registerBacktest(program)
registerErase(program)
registerHold(program)
registerKeyCommands(program)
registerColdKeys(program)

// A reader that has seen enough, as `| head`, is no failure: the command ends with its own status.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`winnow: cannot write to standard output: ${error.message}\n`)
  process.exit(70)
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
  process.stderr.write(`winnow: ${endText(error)}\n`)
  if (code === 'CONFIG_INVALID' || isRefusedPath(error)) return exitCode.usage
  const isUnreachable = code === 'BUS_UNAVAILABLE' || code === 'STORE_UNAVAILABLE'
  return isUnreachable ? exitCode.unreachable : 70
}
