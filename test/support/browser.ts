import { existsSync } from 'node:fs'
import process from 'node:process'
import * as playwright from 'playwright-core'

export type Browser = playwright.Browser
export type BrowserContext = playwright.BrowserContext
export type Page = playwright.Page

/** Debian's package `chromium`; nothing is downloaded. */
const executables = [
  process.env.TEST_CHROMIUM ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

export const chromiumPath = executables.find(path => path !== '' && existsSync(path))

/** Without what a browser of its own accord asks the network for. */
export async function openBrowser(): Promise<Browser> {
  if (chromiumPath === undefined) {
    throw new Error('there is no Chromium: apt-get install chromium, or name it in TEST_CHROMIUM')
  }
  return playwright.chromium.launch({
    executablePath: chromiumPath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-default-apps',
      '--disable-sync',
      '--no-first-run',
    ],
    timeout: 90_000,
  })
}
