import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { commandLine } from './program.ts'

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: part => (text += part) }).outputHelp()
  return text
}

function* all(command: Command): Generator<Command> {
  yield command
  for (const child of command.commands) yield* all(child)
}

test('every command has help with examples, and they name commands and options that there are', () => {
  const commands = [...all(commandLine())]
  expect(commands.length).toBeGreaterThan(30)
  for (const command of commands) {
    const text = helpOf(command)
    expect(text, command.name()).toMatch(/^Examples?:\n {2}\$ /m)
    for (const [, line = ''] of text.matchAll(/^ {2}\$ (?:[A-Z_]+=\S+ )*winnow (.*)$/gm)) {
      const [words = ''] = line.split(/ [|>] | {3,}|&&/)
      let asked = commands[0] as Command
      for (const word of words.split(' ')) {
        asked = asked.commands.find(one => one.name() === word) ?? asked
      }
      const flags = words.match(/(?<= )--[a-z-]+/g) ?? []
      for (const flag of flags) {
        expect(
          asked.options.some(({ long }) => long === flag),
          `${command.name()}: ${line}`,
        ).toBe(true)
      }
    }
  }
})
