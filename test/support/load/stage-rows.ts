/** The rows of `--stages`. `no-log` has a receiver before a bus that answers at once and keeps nothing. */
export const stageRows = ['no-log', 'log', 'assembler', 'sampler'] as const
export type StageRow = (typeof stageRows)[number]
