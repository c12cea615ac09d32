import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Drive, Driven } from './generator.ts'

/** The generator in a process of its own. */
export interface Generator {
  drive(options: Drive): Promise<Driven>
  stop(): void
}

export function startGenerator(): Generator {
  const child = fork(join(import.meta.dirname, 'generator.ts'), { stdio: 'inherit' })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the generator ended with ${code}`)
  })
  ended.catch(() => {})
  return {
    drive: async options => {
      const answer = once(child, 'message')
      child.send(options)
      const [driven] = await Promise.race([answer, ended])
      return driven as Driven
    },
    stop: () => {
      child.kill()
    },
  }
}
