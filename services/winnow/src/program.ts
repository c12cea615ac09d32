import { Command } from 'commander'
import { registerCheckCommands } from './check-commands.ts'
import { registerClientCommands } from './client/commands.ts'
import { registerBacktest, registerPolicyCommands } from './client/policy-commands.ts'
import { registerColdKeys } from './cold-keys/register-cold-keys.ts'
import { registerErase } from './erase/register-erase.ts'
import { registerHold } from './hold/register-hold.ts'
import { registerKeyCommands } from './key-commands.ts'
import { registerRunCommands } from './run-commands.ts'

/** Every command. What one of them does is loaded when it is asked for. */
export function commandLine(): Command {
  const program = new Command('winnow')
    .description(
      'Streaming tail sampling for LLM and agent traces: keeps by outcome, loses nothing, says why.',
    )
    .version('0.1.0')
    .showHelpAfterError('(--help shows what is there)')
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  $ winnow up                                    everything in one process, on files below ./data
  $ winnow why 48f9c3e1b7a64f2c9d2e0a1b3c4d5e6f  why a trace was kept, or dropped
  $ winnow search --rule citation-failed --since 1h
  $ winnow verify                                whether every received span is accounted for`,
    )
  registerRunCommands(program)
  registerCheckCommands(program)
  registerClientCommands(program)
  registerPolicyCommands(program)
  registerBacktest(program)
  registerErase(program)
  registerHold(program)
  registerKeyCommands(program)
  registerColdKeys(program)
  return program
}
