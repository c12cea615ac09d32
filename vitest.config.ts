import { defineConfig } from 'vitest/config'

// `.ci/run` sets it: every project leaves a report there, to be counted.
const reports = process.env.TEST_REPORTS

// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from the default export.
export default defineConfig({
  test: {
    reporters: reports === undefined ? ['default'] : ['default', 'json'],
    ...(reports !== undefined && {
      outputFile: { json: `${reports}/${projectName()}.json` },
    }),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{packages,services}/*/src/**/*.test.ts'],
          isolate: false,
          // They wait for files and timers more than they compute.
          maxWorkers: 4,
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/*.test.ts', 'test/{fuzz,simulation}/*.test.ts', 'test/crash/up.test.ts'],
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['test/{crash,giant,overload}/*.test.ts'],
          exclude: ['test/crash/up.test.ts'],
          fileParallelism: false,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
      {
        test: {
          name: 'stack',
          include: ['test/stack/**/*.test.ts'],
          // They wait for servers more than they compute; each starts its own.
          maxWorkers: 2,
          testTimeout: 240_000,
          hookTimeout: 240_000,
        },
      },
    ],
  },
})

/** Each run of the tests names one project. */
function projectName(): string {
  const at = process.argv.indexOf('--project')
  return process.argv[at + 1] ?? 'all'
}
