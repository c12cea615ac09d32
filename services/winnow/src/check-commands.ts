import type { Command } from 'commander'
import type { TopicsOptions } from './topics/topics-command.ts'

/** The commands that look at what the pipeline stands on, before it runs or beside it. */
export function registerCheckCommands(program: Command): void {
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
