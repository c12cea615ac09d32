// Adds up the reports that vitest wrote and prints the one closing line.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2] ?? '.'
const total = { passed: 0, failed: 0, skipped: 0 }
const expected = ['unit', 'e2e', 'faults', 'stack']
const found = readdirSync(folder)
for (const name of expected) {
  if (!found.includes(`${name}.json`)) {
    console.log(`no report of the ${name} tests: they did not run to their end`)
    total.failed++
    continue
  }
  const report = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
  total.passed += report.numPassedTests
  total.failed += report.numFailedTests
  total.skipped += report.numPendingTests + report.numTodoTests
  // A file that cannot be loaded has no tests to fail, and yet it failed.
  for (const suite of report.testResults) {
    if (suite.status === 'failed' && suite.assertionResults.length === 0) {
      console.log(`could not be loaded: ${suite.name}`)
      total.failed++
    }
    for (const test of suite.assertionResults) {
      if (test.status === 'pending' || test.status === 'skipped')
        console.log(`skipped: ${test.fullName}`)
    }
  }
}
if (total.skipped > 0 && process.env.TEST_NO_SKIP === '1') total.failed += total.skipped
console.log(`Tests: ${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
