import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { copies, dockerfile, isIgnored, listOf, root } from './compose-file.ts'

/** Whoever owns nothing, where this process may become somebody else. */
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

/** What the Dockerfile makes, in a folder: its COPY and npm lines carried out, by a user who owns nothing else. */
export interface Image {
  /** May be written by whoever runs its processes; nothing else of it may. */
  readonly data: string
  /** As the ENTRYPOINT, or another, with a CMD. `env` is all that the process sees. */
  run(command: readonly string[], env: Readonly<Record<string, string>>): ImageProcess
  remove(): void
}

export interface ImageProcess {
  readonly exited: Promise<number | null>
  readonly output: () => string
  stop(): Promise<number | null>
}

export function buildImage(): Image {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-image-'))
  const workdir = join(folder, 'winnow')
  const data = join(folder, 'data')
  // The image has a Node of its own; this one may lie where nobody else may look.
  const node = join(folder, 'bin', 'node')
  for (const path of [workdir, data, dirname(node)]) mkdirSync(path)
  chmodSync(folder, 0o755)
  copyFileSync(process.execPath, node)
  for (const { from, to } of copies) for (const path of from) copyIn(path, to, from.length, workdir)
  const install = dockerfile.filter(({ name, rest }) => name === 'RUN' && rest.startsWith('npm'))
  own(folder)
  for (const { rest } of install) {
    const line = rest.replaceAll('/tmp/npm', join(folder, 'npm'))
    execFileSync('sh', ['-ec', line.replace('npm ci', 'npm ci --loglevel=error')], {
      cwd: workdir,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: {
        PATH: `${dirname(node)}:${process.env.PATH ?? ''}`,
        HOME: folder,
        npm_config_update_notifier: 'false',
        ...registryEnv(),
      },
      ...nobody,
    })
  }
  execFileSync('chmod', ['-R', 'a-w', workdir])
  return {
    data,
    run: (command, env) => running(node, command, workdir, env),
    remove: () => {
      execFileSync('chmod', ['-R', 'u+w', workdir])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The command of a service: its ENTRYPOINT, or the image's, and its CMD. */
export function commandOf(service: {
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
}): readonly string[] {
  return [...(service.entrypoint ?? listOf('ENTRYPOINT')), ...(service.command ?? listOf('CMD'))]
}

function copyIn(path: string, to: string, count: number, workdir: string): void {
  const isFolderCopy = count === 1 && !to.endsWith('/')
  const name = isFolderCopy ? to : join(to, path.split('/').at(-1) ?? '')
  cpSync(join(root, path), join(workdir, name), {
    recursive: true,
    filter: source => !isIgnored(relative(root, source)),
  })
}

function own(folder: string): void {
  if (nobody.uid !== undefined) execFileSync('chown', ['-R', `${nobody.uid}:${nobody.gid}`, folder])
}

/** npm's own settings of this machine, where it has any: a mirror, a proxy, certificates. */
function registryEnv(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] =>
        /^(npm_config_(registry|userconfig|cafile)|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS)$/i.test(
          entry[0],
        ) && entry[1] !== undefined,
    ),
  )
}

function running(
  node: string,
  command: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): ImageProcess {
  const [program = '', ...args] = command
  const child: ChildProcess = spawn(program === 'node' ? node : program, args, {
    cwd,
    env: { PATH: '/usr/bin:/bin', ...env },
    ...nobody,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', chunk => {
      output += chunk
    })
  }
  const reap = (): boolean => child.kill('SIGKILL')
  process.once('exit', reap)
  const exited = once(child, 'exit').then(([code]) => {
    process.off('exit', reap)
    return code as number | null
  })
  return {
    exited,
    output: () => output,
    stop: () => {
      child.kill('SIGTERM')
      return exited
    },
  }
}
