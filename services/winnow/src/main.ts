import process from 'node:process'
import { CommanderError } from 'commander'
import { CommandEnd, exitCode } from './exit-codes.ts'
import { commandLine } from './program.ts'
import { endText, isRefusedPath } from './start-error.ts'

// A reader that has seen enough, as `| head`, is no failure: the command ends with its own status.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`winnow: cannot write to standard output: ${error.message}\n`)
  process.exit(70)
})

try {
  await commandLine().parseAsync()
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
