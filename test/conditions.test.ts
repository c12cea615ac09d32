import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OtlpClient, trace48fTwin, trace48fTwinId } from '@winnow/testing'
import { expect, test, vi } from 'vitest'
import { startWinnow, winnow } from './support/winnow-process.ts'

test('a condition on an attribute of any span keeps a trace of the running program, and why says it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-condition-'))
  const policy = join(folder, 'policy.yaml')
  const config = join(folder, 'winnow.yaml')
  writeFileSync(
    policy,
    `version: c
rules:
  - kind: condition
    name: judged-by-model
    when: attribute["judge.score"] >= 0 && spans.exists(s, s.name == "llm.generate")
  - { kind: ordinary, probability: 0 }
`,
  )
  writeFileSync(config, `policy: ${policy}\n`)
  const running = await startWinnow({ args: ['--config', config] })
  try {
    const client = new OtlpClient({ transport: 'grpc', address: running.otlpGrpc })
    await client.sendTraces(trace48fTwin({ startMs: Date.now() }))
    client.close()
    await vi.waitFor(
      async () => {
        const url = `http://${running.api}`
        const why = JSON.parse(
          (await winnow(['why', trace48fTwinId, '--json', '--url', url])).stdout,
        )
        expect(why).toMatchObject({ state: 'kept', primary: 'judged-by-model' })
      },
      { timeout: 30_000, interval: 300 },
    )
  } finally {
    await running.stop()
    running.clean()
    rmSync(folder, { recursive: true })
  }
})
