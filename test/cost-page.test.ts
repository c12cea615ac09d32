// The page of costs in a real browser, over a pipeline that runs: what it draws is what the API and the command say.

import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import type { CostAnswer, CostReport, CostRows } from '@winnow/cost'
import { hashOfKey } from '@winnow/runtime'
import { segmentKey } from '@winnow/storage'
import { OtlpClient, trace48f } from '@winnow/testing'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { type Browser, type BrowserContext, openBrowser, type Page } from './support/browser.ts'
import { type RunningWinnow, startWinnow, winnow } from './support/winnow-process.ts'

/** The demo's: trace 48f, its twin and the generator's. */
const traces = 2_002
const byAll = 'days=7&by=rule,service,variant,root,tenant&compare=true&daily=true&tenants=all'
/** Of a machine that does other things as well. */
const patience = { timeout: 90_000, interval: 500 }

let running: RunningWinnow
let browser: Browser

beforeAll(async () => {
  await promisify(execFile)(process.execPath, [
    resolve(import.meta.dirname, '../services/ui/build.ts'),
  ])
  ;[running, browser] = await Promise.all([startWinnow({ args: ['--demo'] }), openBrowser()])
  let before = ''
  const isWhole = async () => {
    const { days = [] } = await api<CostAnswer>(running, `cost?${byAll}`)
    const decided = JSON.stringify(days)
    const isSame = decided === before
    before = decided
    // Outcomes that come late are decided too: an answer is given again for some seconds.
    return isSame && days.reduce((sum, { all }) => sum + all.traces, 0)
  }
  await vi.waitFor(async () => expect(await isWhole()).toBe(traces), {
    timeout: 150_000,
    interval: 7_000,
  })
}, 200_000)

afterAll(async () => {
  await browser?.close()
  await running?.stop()
  running?.clean()
})

async function api<T>(of: RunningWinnow, path: string): Promise<T> {
  const response = await fetch(`http://${of.api}/api/v1/${path}`)
  expect(response.status, path).toBe(200)
  return (await response.json()) as T
}

interface Opened {
  readonly page: Page
  readonly context: BrowserContext
  /** What the browser said of errors; answers that are no 200 are told there as well. */
  readonly said: string[]
}

/** A tab, in which nothing may be asked of anybody but the server. */
async function opened(
  of: RunningWinnow,
  path = '/ui/#/cost?days=7&tenants=all',
  colorScheme: 'light' | 'dark' = 'light',
): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme })
  context.setDefaultTimeout(patience.timeout)
  const page = await context.newPage()
  const said: string[] = []
  const asked: string[] = []
  page.on('console', message => {
    if (message.type() === 'error' || message.type() === 'warning') said.push(message.text())
  })
  page.on('pageerror', error => said.push(error.message))
  context.on('request', request => asked.push(new URL(request.url()).host))
  await page.goto(`http://${of.api}${path}`)
  onTestFinished(async () => {
    await context.close()
    expect(new Set(asked)).toEqual(new Set([of.api]))
  })
  return { page, context, said }
}

/** The colours of a picture, each with the pixels that have it, as `#rrggbb`. */
function colours(page: Page, at: number): Promise<Readonly<Record<string, number>>> {
  return page
    .locator('canvas')
    .nth(at)
    .evaluate(canvas => {
      const { width, height } = canvas as HTMLCanvasElement
      const data = (canvas as HTMLCanvasElement)
        .getContext('2d')
        ?.getImageData(0, 0, width, height).data
      const counts: Record<string, number> = {}
      for (let i = 0; data !== undefined && i < data.length; i += 4) {
        if (data[i + 3] !== 255) continue
        const name = `#${[0, 1, 2].map(n => (data[i + n] ?? 0).toString(16).padStart(2, '0')).join('')}`
        counts[name] = (counts[name] ?? 0) + 1
      }
      return counts
    })
}

const styleOf = (page: Page, name: string): Promise<string> =>
  page.evaluate(
    one => getComputedStyle(document.documentElement).getPropertyValue(one).trim(),
    name,
  )

const longHex = (colour: string): string =>
  colour.length === 4 ? `#${[...colour.slice(1)].map(digit => digit + digit).join('')}` : colour

test('what the page draws is what the API says, to the byte, and what the API says is what the command says', async () => {
  const { page, said } = await opened(running)
  const answer = await api<CostAnswer>(running, `cost?${byAll}`)
  await page.locator('canvas').nth(2).waitFor()
  const totals = await values(page, '.totals')
  const sums = (answer.days ?? []).map(({ all }) => all)
  const sum = (of: 'traces' | 'kept' | 'bytes') => sums.reduce((total, one) => total + one[of], 0)
  expect(totals).toEqual([sum('traces'), sum('kept'), sum('bytes')])
  const pictures = page.locator('.picture')
  const legend = (at: number) =>
    pictures
      .nth(at)
      .locator('.legend li')
      .evaluateAll(items =>
        items.map((item): [string, number] => [
          item.textContent?.trim().split(' ')[0] ?? '',
          Number(item.querySelector('data')?.value),
        ]),
      )
  const written = (answer.by?.rule ?? []).filter(({ bytes }) => bytes > 0)
  const lowestLast = written.map(({ name, bytes }) => [name, bytes]).toReversed()
  expect(await legend(1)).toEqual(lowestLast)
  const tiers = (await legend(0)).reduce((total, [, bytes]) => total + bytes, 0)
  const listed = (answer.days ?? []).flatMap(day => Object.values(day.tiers))
  expect(tiers).toBe(listed.reduce((total, bytes) => total + bytes, 0))
  const stored = (where: string) => answer.stored.find(one => one.where === where)?.bytes
  const drawn = (answer.days ?? []).reduce((total, day) => total + day.tiers.cold, 0)
  expect(drawn).toBe(stored('cold/'))
  for (const [at, layers] of [pictures.nth(0), pictures.nth(1)].entries()) {
    const found = await colours(page, at)
    const count = await layers.locator('.legend li').count()
    expect(count).toBeGreaterThan(3)
    // The highest layers of a bar may be thinner than a pixel.
    for (let layer = 0; layer < 3; layer++) {
      const colour = longHex(await styleOf(page, `--c${layer}`))
      expect(found[colour], `picture ${at}, layer ${layer}`).toBeGreaterThan(30)
    }
  }
  expect(said).toEqual([])

  const options = ['--days', '7', '--by', 'rule,service,variant,root,tenant', '--compare']
  const told = await winnow(['cost', '--data', running.data, '--json', ...options])
  const report = JSON.parse(told.stdout) as CostReport
  const counted = ({ by, compared = [], stored: folders }: CostReport) => ({
    folders: folders.filter(({ tier }) => tier !== 'index' && tier !== 'hot'),
    compared: compared.map(({ policy, traces: of, bytes }) => [policy, of, bytes]),
    by: Object.entries(by ?? {})
      .toSorted()
      .map(([name, shares]) => [
        name,
        shares.map(one => [one.name, one.decisions, one.traces, one.kept, one.matched, one.bytes]),
      ]),
  })
  expect(counted(answer)).toEqual(counted(report))
  // The command was asked a moment later: what a day brings is the same sum over a little more time.
  const brought = ({ flows, measuredDays }: CostReport) =>
    flows
      .filter(({ tier }) => tier === 'warm' || tier === 'cold' || tier === 'ledger')
      .map(({ bytesPerDay }) => Math.round(bytesPerDay * measuredDays))
  expect(brought(answer)).toEqual(brought(report))
})

const values = (page: Page, within: string): Promise<number[]> =>
  page
    .locator(`${within} data`)
    .evaluateAll(all => all.map(one => Number((one as HTMLDataElement).value)))

test('every figure leads to the rows that it adds up', async () => {
  const { page, said } = await opened(running)
  await page.locator('#shares').waitFor()
  const links = await page
    .locator('a.figure')
    .evaluateAll(all => all.map(one => (one as HTMLAnchorElement).hash))
  expect(links.length).toBeGreaterThan(60)
  for (const hash of new Set(links)) expect(hash).toMatch(/^#\/rows\?.*since=.*until=/)
  const figures = await page.locator('section:has(> #shares) tbody tr').evaluateAll(rows =>
    rows.map(row => ({
      name: row.querySelector('th')?.textContent ?? '',
      cells: [...row.querySelectorAll('a')].map(one => ({
        hash: one.hash,
        value: Number(one.querySelector('data')?.value),
      })),
    })),
  )
  expect(figures.length).toBeGreaterThan(5)
  for (const { name, cells } of figures) {
    const [decided, kept, matched, bytes] = cells
    const sumAt = async (hash = '') =>
      (await api<CostRows>(running, `cost/rows?${hash.split('?')[1]?.replace(/days=\d+&/, '')}`))
        .sum
    expect((await sumAt(decided?.hash)).traces, `${name}, traces`).toBe(decided?.value)
    expect((await sumAt(kept?.hash)).kept, `${name}, kept`).toBe(kept?.value)
    expect((await sumAt(matched?.hash)).kept, `${name}, matched`).toBe(matched?.value)
    expect((await sumAt(bytes?.hash)).bytes, `${name}, bytes`).toBe(bytes?.value)
  }
  // A bar that is clicked is a figure, too: of the rule whose colour is there.
  const frame = page.locator('.picture').nth(1).locator('.u-over')
  const { width, height } = (await frame.boundingBox()) ?? { width: 0, height: 0 }
  await frame.click({ position: { x: width * (15 / 16), y: height - 4 } })
  await page.locator('table.rows').waitFor()
  const heading = await page.locator('h1').textContent()
  expect(heading).toMatch(/^Decisions of what was written, rule \S+, /)
  const shown = await page.locator('table.rows tbody tr').count()
  expect(shown).toBeGreaterThan(0)
  await page.goBack()
  await page.locator('#shares').waitFor()
  expect(said).toEqual([])
})

test('everything is reached by the keyboard, and what has the focus is seen', async () => {
  const { page, said } = await opened(running)
  await page.locator('canvas').nth(2).waitFor()
  const focused = () =>
    page.evaluate(() => {
      const { activeElement: one } = document
      const style = one === null ? undefined : getComputedStyle(one)
      return {
        label: one?.getAttribute('aria-label') ?? one?.textContent ?? '',
        role: one?.getAttribute('role'),
        outline: style?.outlineStyle === 'none' ? 0 : Number.parseFloat(style?.outlineWidth ?? '0'),
        valueText: one?.getAttribute('aria-valuetext'),
      }
    })
  let found = await focused()
  for (let tabs = 0; tabs < 200 && found.role !== 'slider'; tabs++) {
    await page.keyboard.press('Tab')
    found = await focused()
    expect(found.outline, found.label).toBeGreaterThan(1)
  }
  expect(found).toMatchObject({ role: 'slider', label: 'Bytes into each tier, by day' })
  const status = page.locator('.picture').first().getByRole('status')
  await expect.poll(() => status.textContent(), patience).toMatch(/^in all: /)
  await page.keyboard.press('End')
  const days = (await api<CostAnswer>(running, `cost?${byAll}`)).days ?? []
  const last = days.at(-1)
  await expect.poll(() => status.textContent(), patience).toContain(last?.day)
  expect((await focused()).valueText).toContain(last?.day)
  await page.keyboard.press('ArrowLeft')
  await expect.poll(() => status.textContent(), patience).not.toContain(last?.day)
  await page.keyboard.press('Escape')
  await expect.poll(() => status.textContent(), patience).toMatch(/^in all: /)
  await page.keyboard.press('End')
  await page.keyboard.press('Enter')
  await page.locator('table.rows').waitFor()
  expect((await focused()).label).toMatch(/^Decisions of every trace, /)
  const [decisions] = await values(page, '.sum')
  expect(decisions).toBe(last?.all.decisions)
  await page.keyboard.press('Shift+Tab')
  expect((await focused()).label).toBe('← Back to the figures')
  await page.keyboard.press('Enter')
  await page.locator('#shares').waitFor()
  // What a picture shows is in its table, opened by the keyboard.
  await page.locator('summary').first().focus()
  await page.keyboard.press('Enter')
  const cells = await page
    .locator('.picture')
    .first()
    .locator('tbody tr')
    .last()
    .locator('data')
    .count()
  expect(cells).toBeGreaterThan(3)
  expect(said).toEqual([])
})

test('it is dark where the system is, and as it was told to be, after a reload too', async () => {
  const { page, said } = await opened(running, undefined, 'dark')
  await page.locator('canvas').nth(2).waitFor()
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const dark = await paper()
  const drawnDark = longHex(await styleOf(page, '--c0'))
  expect((await colours(page, 1))[drawnDark]).toBeGreaterThan(30)
  await page.emulateMedia({ colorScheme: 'light' })
  await expect.poll(paper, patience).not.toBe(dark)
  const drawnLight = longHex(await styleOf(page, '--c0'))
  expect(drawnLight).not.toBe(drawnDark)
  await expect
    .poll(async () => (await colours(page, 1))[drawnLight] ?? 0, patience)
    .toBeGreaterThan(30)
  await page.getByLabel('Colours').selectOption('dark')
  await expect.poll(paper, patience).toBe(dark)
  await page.reload()
  await page.locator('canvas').nth(2).waitFor()
  expect(await paper()).toBe(dark)
  expect(said).toEqual([])
})

test('without anything stored it says how spans get there, and shows them once they are', async () => {
  const empty = await startWinnow()
  onTestFinished(async () => {
    await empty.stop()
    empty.clean()
  })
  const { page, said } = await opened(empty, '/')
  await page.getByRole('heading', { name: 'Nothing is stored yet' }).waitFor()
  expect(await page.locator('pre').first().textContent()).toContain(
    'OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318',
  )
  const client = new OtlpClient({ transport: 'grpc', address: empty.otlpGrpc })
  await client.sendTraces(trace48f({ startMs: Date.now() }))
  client.close()
  await page.locator('canvas').nth(2).waitFor()
  await expect.poll(() => values(page, '.totals'), patience).toEqual([1, 1, expect.any(Number)])
  expect(said).toEqual([])
})

test('what goes wrong is said with what can be done: no key, a wrong one, one without the scope, a damaged ledger, no server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'winnow-page-'))
  const config = join(folder, 'winnow.yaml')
  const entry = (key: string, scopes: string) =>
    `  ${hashOfKey(key)}: { tenant: acme, scopes: [${scopes}] }\n`
  writeFileSync(
    config,
    `keys:\n${entry('reads', 'read')}${entry('sends', 'ingest')}${entry('sees-all', 'read, admin')}`,
  )
  const keyed = await startWinnow({ args: ['--config', config] })
  onTestFinished(async () => {
    await keyed.stop()
    keyed.clean()
    rmSync(folder, { recursive: true })
  })
  const { page, said } = await opened(keyed, '/ui/')
  const heading = (name: string) => page.getByRole('heading', { name }).waitFor()
  const give = async (key: string) => {
    await page.getByLabel('API key').fill(key)
    await page.keyboard.press('Enter')
  }
  await heading('A key is needed')
  await give('nobody’s')
  await heading('No answer')
  await page.getByRole('button', { name: 'Forget key' }).click()
  await heading('A key is needed')
  await give('nobodys')
  await heading('This key is not known')
  await give('sends')
  await heading('This key may not see that')
  await give('reads')
  await heading('Nothing is stored yet')
  await page.getByRole('link', { name: 'all tenants' }).click()
  await heading('This key may not see that')
  expect(await page.getByRole('alert').textContent()).toContain('admin')
  await give('sees-all')
  await heading('Nothing is stored yet')
  const stores = await page.evaluate(() => [
    JSON.stringify(localStorage),
    document.cookie,
    location.href,
  ])
  for (const store of stores) expect(store).not.toContain('sees-all')
  const damaged = join(keyed.data, 'blobs', segmentKey('ledger', Date.now(), 0, '1-log', 0))
  mkdirSync(join(damaged, '..'), { recursive: true })
  writeFileSync(damaged, 'no Parquet, whoever wrote it')
  await heading('Winnow could not answer')
  expect(await page.getByRole('alert').textContent()).toContain('winnow audit')
  expect(await page.getByRole('alert').textContent()).toContain('LEDGER_UNREADABLE')
  rmSync(damaged)
  await page.getByRole('button', { name: 'Try again' }).click()
  await heading('Nothing is stored yet')
  await keyed.stop()
  await heading('No answer')
  expect(await page.getByRole('alert').textContent()).toContain('winnow doctor')
  // Of its own the page says nothing: these are the browser's lines about answers that are no 200.
  for (const line of said) expect(line).toMatch(/^Failed to load resource: /)
})
