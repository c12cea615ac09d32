import process from 'node:process'
import { type ParseArgsConfig, parseArgs } from 'node:util'

type Options = NonNullable<ParseArgsConfig['options']>
type Values<T extends Options> = ReturnType<
  typeof parseArgs<{ args: string[]; options: T }>
>['values']

/** The options of a command of this repository. `--help` prints its usage and ends it with 0, wrong use with 2. */
export function commandOptions<const T extends Options>(usage: string, options: T): Values<T> {
  const args = process.argv.slice(2)
  if (args.includes('--help')) {
    console.log(`${usage}\n  --help`)
    process.exit(0)
  }
  try {
    return parseArgs({ args, options }).values
  } catch (error) {
    return wrongUse(`${(error as Error).message}\n${usage}`)
  }
}

/** A whole number of at least `min`; else the command ends with 2. */
export function count(name: string, text: string, min = 1): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= min) return value
  return wrongUse(`--${name} is ${text}; give a whole number, ${min} or more`)
}

/** Ends the command with 2. */
export function wrongUse(message: string): never {
  console.error(message)
  process.exit(2)
}
