// Exit 0 where the process of this container is ready. Node alone: a slim image has no curl.
import { request as plain } from 'node:http'
import { request as secure } from 'node:https'

const port = /\d+$/.exec(process.env.WINNOW_METRICS ?? '')?.[0] ?? '9464'
const target = { host: '127.0.0.1', port, path: '/readyz', timeout: 4000 }

// Whose certificate it is says nothing of health, and it need not be one for 127.0.0.1.
const answer = await ask(plain)
  .catch(() => ask(secure))
  .catch(String)
if (answer !== undefined) {
  process.stderr.write(`${answer}\n`)
  process.exitCode = 1
}

/** Undefined: ready. */
function ask(request) {
  return new Promise((resolve, reject) => {
    const sent = request({ ...target, rejectUnauthorized: false }, response => {
      let text = ''
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve(response.statusCode === 200 ? undefined : text))
    })
    sent.on('timeout', () => sent.destroy(new Error('no answer')))
    sent.on('error', reject)
    sent.end()
  })
}
