import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { openPage } from './page.ts'

const html = '<!doctype html>'
const files = { 'index.html': html, 'assets/index-Ab1.js': 'go()', 'assets/index-Cd2.css': 'a{}' }

function built(): string {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-page-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'assets'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

test('the page is served to everybody, with headers that let nothing else in', () => {
  const page = openPage(built())
  const get = (url: string, encoding = '') =>
    page.find({ method: 'GET', url, headers: { 'accept-encoding': encoding } })
  const entry = get('/ui/')
  expect(entry?.status).toBe(200)
  expect(Buffer.from(entry?.body ?? []).toString()).toBe(html)
  expect(entry?.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  })
  for (const url of ['/', '/ui', '/ui/', '/ui/assets/index-Ab1.js', '/ui/nothing']) {
    const policy = String(get(url)?.headers['content-security-policy'])
    expect(policy, url).toContain("default-src 'none'")
    expect(policy, url).toContain("frame-ancestors 'none'")
    expect(policy, url).not.toMatch(/unsafe|https?:|\*|data:/)
  }
  const script = get('/ui/assets/index-Ab1.js', 'br, gzip')
  expect(script?.headers).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'cache-control': 'public, max-age=31536000, immutable',
    'content-encoding': 'gzip',
    vary: 'accept-encoding',
  })
  expect(gunzipSync(script?.body ?? '').toString()).toBe('go()')
  expect(get('/ui/assets/index-Ab1.js')?.headers['content-encoding']).toBeUndefined()
  expect(get('/ui/?days=7')?.status).toBe(200)
  expect(get('/')).toMatchObject({ status: 302, headers: { location: 'ui/' } })
})

test('what is not of the page is the API’s to answer, and no path leads out of the folder', () => {
  const page = openPage(built())
  const find = (method: string, url: string) => page.find({ method, url, headers: {} })
  for (const url of ['/api/v1/search', '/uix', '/healthz', '//', '/api/ui/']) {
    expect(find('GET', url), url).toBeUndefined()
  }
  expect(find('POST', '/ui/')).toBeUndefined()
  for (const path of ['../page.ts', '..%2fpage.ts', 'assets', 'assets/../../x', '/etc/passwd']) {
    expect(find('GET', `/ui/${path}`)?.status, path).toBe(404)
  }
})

test('a file that vanishes between the listing and its reading is none of the page', () => {
  const folder = built()
  // Listed, and nothing is found by its name.
  symlinkSync(join(folder, 'gone.js'), join(folder, 'assets', 'old.js'))
  const page = openPage(folder)
  const find = (url: string) => page.find({ method: 'GET', url, headers: {} })?.status
  expect([find('/ui/assets/old.js'), find('/ui/assets/index-Ab1.js')]).toEqual([404, 200])
})

test('a page that was not built is said to be, with the command', () => {
  const page = openPage('/nowhere/at/all')
  const answer = page.find({ method: 'GET', url: '/ui/', headers: {} })
  expect(answer?.status).toBe(404)
  expect(JSON.parse(Buffer.from(answer?.body ?? []).toString())).toMatchObject({
    error: { code: 'PAGE_NOT_BUILT', remedy: expect.stringContaining('npm run prepare') },
  })
})

test('files of pageBytesMax are held in memory, one byte more are not', () => {
  const bytes = Object.values(files).join('').length
  expect(openPage(built(), bytes)).toBeDefined()
  expect(() => openPage(built(), bytes - 1)).toThrow(`more than ${bytes - 1} bytes`)
})
