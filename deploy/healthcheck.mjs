// Exit 0 where the process of this container is ready. Plain fetch: a slim image has no curl.
const port = /\d+$/.exec(process.env.WINNOW_METRICS ?? '')?.[0] ?? '9464'
const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(error => error)
if (answer.status !== 200) {
  process.stderr.write(`${answer instanceof Error ? answer.message : await answer.text()}\n`)
  process.exitCode = 1
}
