import process from 'node:process'
import type { Command } from 'commander'
import type { AuditCommandOptions } from './audit/audit-command.ts'
import type { CostOptions } from './cost/cost-command.ts'
import type { DoctorOptions } from './doctor/doctor-command.ts'
import type { LevelsOptions } from './levels/levels-command.ts'
import type { TopicsOptions } from './topics/topics-command.ts'

/** The commands that look at what the pipeline stands on, before it runs or beside it, and what that costs. */
export function registerCheckCommands(program: Command): void {
  registerDoctor(program)
  registerTopics(program)
  registerCost(program)
  registerAudit(program)
  registerLevels(program)
}

function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('whether everything that the configuration names can be reached and used')
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
A line for each thing that it looked at: ✓ well, ! works and should be looked at, ✗ would not work; with the key,
what was found and the remedy. It changes nothing, before a first start and beside a running fleet: in an object
store it makes an object of its own and deletes it. Exits 1 where something would not work.

Examples:
  $ winnow doctor --config winnow.yaml
  $ WINNOW_BUS=kafka://127.0.0.1:9092 winnow doctor
  $ winnow doctor --json | jq '.findings[] | select(.status != "ok")'`,
    )
    .action(async (options: DoctorOptions) => {
      const { doctorCommand } = await import('./doctor/doctor-command.ts')
      await doctorCommand(options)
      // A server that hangs must not hold the process.
      process.exit()
    })
}

function registerTopics(program: Command): void {
  program
    .command('topics')
    .description('what the Kafka cluster has of the topics, or what to make there')
    .option('--plan', 'print what to make by hand: topics, groups and rights')
    .option('--principal <user>', 'with --plan: one user for every target, as User:winnow')
    .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
It asks the cluster that \`bus\` names and changes nothing. Exits 1 where no stage would start with what is there,
3 where no broker answers. --plan asks nobody: its lines are for a cluster where the program may not make topics.

Examples:
  $ WINNOW_BUS=kafka://127.0.0.1:9092 winnow topics
  $ winnow topics --config winnow.yaml --json | jq '.topics[] | select(.state != "same")'
  $ winnow topics --plan --config winnow.yaml > topics.sh
  $ winnow topics --plan --principal User:winnow --json | jq .rights`,
    )
    .action(async (options: TopicsOptions) => {
      const { topicsCommand } = await import('./topics/topics-command.ts')
      await topicsCommand(options)
    })
}

function registerCost(program: Command): void {
  program
    .command('cost')
    .description('what is stored, by the stores’ own listings, and what a month of it costs')
    .option('--days <n>', 'measure what comes in over so many days (default 7)')
    .option(
      '--by <names>',
      'who causes it: tenant, rule, service, variant, root, span; several with commas',
    )
    .option('--compare', 'beside it what keeping all, and errors alone, would cost')
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml, whose section costs has the prices')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
It lists every object of every tier and asks the hot store for its size; it changes nothing. A month is that in which
every tier is full, a line for each cause: storage, smallest billed size, least billed time, objects made, and what is
fixed. The prices are list prices until costs in winnow.yaml says yours. --by and --compare read the ledger of those days:
hot, warm and cold are shared out by the bytes that a trace had written, the ledger by decisions, what is fixed not at all. --by span reads segments of warm,
200 at most, evenly over those days, and shares out warm and cold by the texts of their rows, span name by span name.

Examples:
  $ winnow cost
  $ WINNOW_BLOBS=s3://traces winnow cost --days 30
  $ winnow cost --by rule,tenant --compare
  $ winnow cost --by span --days 30
  $ winnow cost --json | jq '.lines | sort_by(-.dollars)[:3]'`,
    )
    .action(async (options: CostOptions) => {
      const { costCommand } = await import('./cost/cost-command.ts')
      await costCommand(options)
    })
}

function registerAudit(program: Command): void {
  program
    .command('audit')
    .description('what every store has, by its own listing and counts, beside what the ledger says')
    .option('--full', 'read every page of every segment, not its footer alone')
    .option('--age', 'of every store: what is older than its tier allows, text first of all')
    .option('--no-hot', 'the blob store alone')
    .option(
      '--grace <time>',
      'how long what was written last may be under way (default 15min); with --age: what a store may take to delete (1h)',
    )
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
    .option('--json', 'as JSON')
    .option('--csv', 'totals and findings as rows of a sheet')
    .option('--metrics', 'as Prometheus reads a file of metrics')
    .addHelpText(
      'after',
      `
Every object is named that is missing, damaged, without a ledger, of a name that no writer gives, or older than its tier
allows; and every place where two segments of the ledger leave a gap or overlap. Segments of the last quarter of an hour
may still be under way. It changes nothing, beside a running fleet too. Exits 1 where something was found.

Of the hot store every UTC day is compared with the ledger: traces, their spans, and bytes of slices; where the counts
differ, each trace is named that hot lacks, has too many of, or has otherwise than the ledger says.

With --age it looks at the hot store too, its text by the hour, and names what its tier should have deleted, whatever has a
name that says nothing of its age, and rules of the bucket that are absent or other than configured (docs/levels.md).

Examples:
  $ winnow audit
  $ winnow audit --age
  $ WINNOW_BLOBS=s3://traces winnow audit --full
  $ winnow audit --json | jq '.findings[] | select(.kind == "missing").key'
  $ winnow audit --csv > findings.csv
  $ winnow audit --metrics > winnow.prom.new; [ $? -le 1 ] && [ -s winnow.prom.new ] && mv winnow.prom.new winnow.prom`,
    )
    .action(async (options: AuditCommandOptions) => {
      const { auditCommand } = await import('./audit/audit-command.ts')
      await auditCommand(options)
    })
}

function registerLevels(program: Command): void {
  program
    .command('levels [files...]')
    .description('which attributes are structural, structured or content, and why')
    .option('--table', 'the program’s own lists')
    .option('--tenant <tenant>', 'whose traces of the hot store are looked at (default default)')
    .option('--traces <n>', 'how many of the newest (default 200)')
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml, whose section levels says more than the lists')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
Structural attributes stay clear for a year, of structured ones cold has keyed hashes, and content is there for a day, in hot
alone (docs/levels.md). It prints keys, never values, of the traces in OTLP files, or of the newest in the hot store.

Examples:
  $ winnow levels
  $ winnow levels trace.json
  $ winnow levels --config winnow.yaml --json | jq '.attributes[] | select(.source == "unlisted").key'
  $ winnow levels --table`,
    )
    .action(async (files: readonly string[], options: LevelsOptions) => {
      const { levelsCommand } = await import('./levels/levels-command.ts')
      await levelsCommand(files, options)
    })
}
