import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { positionsFileName } from '@winnow/bus'
import { CommandEnd, exitCode } from './exit-codes.ts'
import { type Config, loadConfig } from './program-config.ts'

export interface ConfigOptions {
  /** Path of a `winnow.yaml`. */
  readonly config?: string
  /** Path of a data folder. */
  readonly data?: string
}

/** The configuration of a command: its options, then `WINNOW_…` variables, then the file. CONFIG_INVALID. */
export function commandConfig({ config, data }: ConfigOptions): Config {
  return loadConfig({
    ...(config !== undefined && { file: config }),
    env: process.env,
    options: { data },
    readFile: path => readFileSync(path, 'utf8'),
  })
}

/** The same for who works with what is stored: of a folder that is not there nothing is true. */
export function storedConfig(options: ConfigOptions): Config {
  const config = commandConfig(options)
  if (config.blobs === 'folder' && !existsSync(config.data)) throw noData(config, 'is not there')
  return config
}

/** The same for who writes to a pipeline's bus: one that never ran has none. */
export function busConfig(options: ConfigOptions): Config {
  const config = commandConfig(options)
  const positions = join(config.data, 'bus', positionsFileName)
  if (config.bus === 'file' && !existsSync(positions)) throw noData(config, 'holds no pipeline')
  return config
}

function noData({ data }: Config, what: string): CommandEnd {
  const remedy = 'name the folder of a pipeline that ran with --data'
  return new CommandEnd(exitCode.usage, `data ${data} ${what}: ${remedy}`)
}
