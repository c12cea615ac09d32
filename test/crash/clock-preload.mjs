// For tests alone: `node --import clock-preload.mjs` lets the wall clock jump. `Date.now` of every thread is
// off by the milliseconds in the file that TEST_CLOCK_FILE names, which is read ten times a second.
import { readFileSync } from 'node:fs'
import process from 'node:process'

const file = process.env.TEST_CLOCK_FILE
const now = Date.now.bind(Date)
let shiftMs = 0

function read() {
  try {
    shiftMs = Number(readFileSync(file, 'utf8')) || 0
  } catch {
    // It is not there yet: the clock is right.
  }
}

if (file !== undefined) {
  read()
  Date.now = () => now() + shiftMs
  setInterval(read, 100).unref()
}
