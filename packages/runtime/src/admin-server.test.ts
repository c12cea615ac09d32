import { expect, test } from 'vitest'
import { AdminServer } from './admin-server.ts'
import { Health } from './health.ts'
import { Metrics } from './metrics.ts'

test('/readyz turns 503 with the part that is not ready, /healthz stays 200', async () => {
  const health = new Health()
  let busReady = true
  health.register('bus', () =>
    busReady ? { ready: true } : { ready: false, detail: 'broker does not answer' },
  )
  const server = new AdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    metricsText: () => new Metrics().text(),
    health,
  })
  await server.start()
  try {
    const get = (path: string) => fetch(`http://${server.address}${path}`)
    expect((await get('/readyz')).status).toBe(200)
    busReady = false
    const refused = await get('/readyz')
    expect(refused.status).toBe(503)
    expect(await refused.json()).toMatchObject({ parts: { bus: { ready: false } } })
    expect((await get('/healthz')).status).toBe(200)
    expect(await (await get('/metrics')).text()).toContain('winnow_open_traces')
    expect((await get('/nothing')).status).toBe(404)
  } finally {
    await server.stop()
  }
})
