import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const program = resolve(import.meta.dirname, '../bin/winnow.mjs')

/** The API with one answer to everything. */
async function answering(body: string): Promise<string> {
  const server = createServer((_request, response) => response.end(body)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a reader that closes early is no failure of the command', async () => {
  const spans = Array.from({ length: 50_000 }, (_, i) => ({ spanId: i, name: 'x'.repeat(40) }))
  const url = await answering(JSON.stringify({ traceId: 'a'.repeat(32), why: {}, spans }))
  const args = [program, 'trace', 'a'.repeat(32), '--json', '--url', url]
  const child = spawn(process.execPath, args)
  let stderr = ''
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  child.stdout.once('data', () => child.stdout.destroy())
  const [code] = await once(child, 'close')
  expect([code, stderr]).toEqual([0, ''])
})

test('what a start has compiled is there for the next one, and where it cannot be kept nothing is missed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-compiled-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const run = async (root: string) => {
    const copied = join(folder, root)
    mkdirSync(join(copied, 'services/winnow/bin'), { recursive: true })
    mkdirSync(join(copied, 'services/winnow/src'))
    cpSync(program, join(copied, 'services/winnow/bin/winnow.mjs'))
    const main = 'console.log(process.env.NODE_COMPILE_CACHE)'
    writeFileSync(join(copied, 'services/winnow/src/main.ts'), main)
    const env = { PATH: process.env.PATH }
    const child = spawn(process.execPath, [join(copied, 'services/winnow/bin/winnow.mjs')], { env })
    const [chunks] = await Promise.all([child.stdout.toArray(), once(child, 'close')])
    return Buffer.concat(chunks).toString().trim()
  }
  const kept = await run('installed')
  expect(kept).toContain(join(folder, 'installed/node_modules/.cache/winnow'))
  expect(readdirSync(kept)).not.toEqual([])
  // No folder can be made in a file.
  mkdirSync(join(folder, 'unwritable'))
  writeFileSync(join(folder, 'unwritable/node_modules'), '')
  expect(await run('unwritable')).toBe('undefined')
})

test('--format otlp prints the JSON, and a format that there is not is wrong use', async () => {
  const url = await answering('{"resourceSpans":[]}')
  const run = async (format: string) => {
    const args = [program, 'trace', 'a'.repeat(32), '--format', format, '--url', url]
    const child = spawn(process.execPath, args)
    let stdout = ''
    child.stdout.on('data', chunk => {
      stdout += chunk
    })
    const [code] = await once(child, 'close')
    return { code, stdout }
  }
  expect(await run('otlp')).toEqual({ code: 0, stdout: '{"resourceSpans":[]}\n' })
  expect(await run('xml')).toEqual({ code: 2, stdout: '' })
})

test('every stage is a command with examples, and refuses the file bus with the remedy', async () => {
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args])
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output += chunk
      })
    }
    const [code] = await once(child, 'close')
    return { code, output }
  }
  for (const name of ['receiver', 'assembler', 'sampler', 'writer', 'query']) {
    const help = await run(name, '--help')
    expect(help.code).toBe(0)
    expect(help.output).toContain(`winnow ${name} --config winnow.yaml`)
  }
  const refused = await run('sampler')
  expect(refused.code).toBe(2)
  expect(refused.output).toContain('run `winnow up`, or give `winnow sampler` a bus')
})

test('doctor and topics have examples, and wrong use of them is refused with the remedy', async () => {
  const run = async (...args: string[]) => {
    const child = spawn(process.execPath, [program, ...args])
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output += chunk
      })
    }
    const [code] = await once(child, 'close')
    return { code, output }
  }
  for (const [name, example] of [
    ['doctor', 'winnow doctor --config winnow.yaml'],
    ['topics', 'winnow topics --plan --config winnow.yaml'],
  ] as const) {
    const help = await run(name, '--help')
    expect([help.code, help.output]).toEqual([0, expect.stringContaining(example)])
    const unknown = await run(name, '--nothing')
    expect([unknown.code, unknown.output]).toEqual([2, expect.stringContaining('--nothing')])
  }
  const principal = await run('topics', '--principal', 'User:a')
  expect([principal.code, principal.output]).toEqual([2, expect.stringContaining('add --plan')])
  const files = await run('topics')
  expect([files.code, files.output]).toEqual([2, expect.stringContaining('kafka://HOST:PORT')])
})
