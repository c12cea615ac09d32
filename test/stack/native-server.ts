import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

export interface NativeServerOptions {
  /** As errors call it. */
  readonly name: string
  /** Its own: it is deleted with the server. */
  readonly folder: string
  /** Made anew at every start: the program, then its arguments. */
  readonly command: () => Promise<readonly string[]>
  readonly env?: Readonly<Record<string, string>>
  /** Asked again until it is true; `output` is all that this start has printed. Rejecting is no. */
  readonly isReady: (output: string) => boolean | Promise<boolean>
  /** A loaded machine takes many times what a quiet one does. */
  readonly startWaitMs?: number
}

const startWaitMs = 90_000
const stopWaitMs = 15_000

/**
 * A server's process, for tests: started, killed, started again on the same folder, stopped. It is killed
 * when this process ends without a stop, however it ends.
 */
export class NativeServer {
  readonly #options: NativeServerOptions
  #child: ChildProcess | undefined
  #watchdog: ChildProcess | undefined

  constructor(options: NativeServerOptions) {
    this.#options = options
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Rejects with the end of what it printed where it ends or takes too long. */
  async start(): Promise<void> {
    const { name, folder, env, isReady } = this.#options
    const [program = '', ...args] = await this.#options.command()
    const outputFile = join(folder, 'output.log')
    rmSync(outputFile, { force: true })
    const output = openSync(outputFile, 'a')
    const child = spawn(program, args, {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
    })
    closeSync(output)
    // Without a listener a program that is not there would end the whole process.
    let failure: Error | undefined
    child.on('error', error => {
      failure = error
    })
    this.#child = child
    this.#watchdog = watchdog(child.pid ?? 0, folder)
    const deadlineMs = Date.now() + (this.#options.startWaitMs ?? startWaitMs)
    for (;;) {
      const text = readFileSync(outputFile, 'utf8')
      const isGone = child.exitCode !== null || child.signalCode !== null || failure !== undefined
      if (!isGone && (await answer(isReady, text))) return
      if (isGone || Date.now() > deadlineMs) {
        await this.#end('SIGKILL')
        throw new Error(`${name} did not start: ${failure?.message ?? ''}\n${text.slice(-3000)}`)
      }
      await new Promise(resolve => setTimeout(resolve, 40))
    }
  }

  /** Without a farewell; what it had acknowledged stays in the folder. */
  kill9(): Promise<void> {
    return this.#end('SIGKILL')
  }

  /** The folder goes too. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
    rmSync(this.#options.folder, { recursive: true, force: true })
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    const runs = child?.pid !== undefined && child.exitCode === null && child.signalCode === null
    if (child !== undefined && runs) {
      const exit = once(child, 'exit')
      child.kill(signal)
      const late = setTimeout(() => child.kill('SIGKILL'), stopWaitMs)
      await exit
      clearTimeout(late)
    }
    // Before its server's number can be another process'.
    this.#watchdog?.kill('SIGKILL')
    this.#watchdog = undefined
  }
}

async function answer(isReady: NativeServerOptions['isReady'], text: string): Promise<boolean> {
  try {
    return await isReady(text)
  } catch {
    return false
  }
}

/** Ends the server once this process is gone, however it went: then the pipe that it reads ends. */
function watchdog(pid: number, folder: string): ChildProcess {
  const script = 'cat >/dev/null; [ "$1" = 0 ] || kill -9 "$1"; sleep 0.5; rm -rf "$2"'
  return spawn('sh', ['-c', script, 'sh', `${pid}`, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
}
