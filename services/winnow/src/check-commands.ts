import process from 'node:process'
import type { Command } from 'commander'
import type { AuditCommandOptions } from './audit/audit-command.ts'
import type { CostOptions } from './cost/cost-command.ts'
import type { DoctorOptions } from './doctor/doctor-command.ts'
import type { TopicsOptions } from './topics/topics-command.ts'

/** The commands that look at what the pipeline stands on, before it runs or beside it, and what that costs. */
export function registerCheckCommands(program: Command): void {
  registerDoctor(program)
  registerTopics(program)
  registerCost(program)
  registerAudit(program)
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
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml, whose section costs has the prices')
    .option('--json', 'as JSON')
    .addHelpText(
      'after',
      `
It lists every object of every tier and asks the hot store for its size; it changes nothing. A month is that in which
every tier is full, a line for each cause: storage, smallest billed size, least billed time, objects made, and what is
fixed. The prices are list prices until costs in winnow.yaml says yours.

Examples:
  $ winnow cost
  $ WINNOW_BLOBS=s3://traces winnow cost --days 30
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
    .description('the blob store’s own listing beside what the ledger says must be there')
    .option('--full', 'read every page of every segment, not its footer alone')
    .option('--data <dir>', 'folder of everything that is kept (default ./data)')
    .option('--config <file>', 'winnow.yaml; every key can also be set by a WINNOW_… variable')
    .option('--json', 'as JSON')
    .option('--csv', 'the findings as rows of a sheet')
    .addHelpText(
      'after',
      `
Every object is named that is missing, damaged, without a ledger, of a name that no writer gives, or older than its tier
allows; and every place where two segments of the ledger leave a gap or overlap. Segments of the last quarter of an hour
may still be under way. It changes nothing, beside a running fleet too. Exits 1 where something was found.

Examples:
  $ winnow audit
  $ WINNOW_BLOBS=s3://traces winnow audit --full
  $ winnow audit --json | jq '.findings[] | select(.kind == "missing").key'
  $ winnow audit --csv > findings.csv`,
    )
    .action(async (options: AuditCommandOptions) => {
      const { auditCommand } = await import('./audit/audit-command.ts')
      await auditCommand(options)
    })
}
