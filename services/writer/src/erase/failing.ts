import { PipelineError } from '@winnow/runtime'
import { type ErasureFailing, erasureFailingTextMax } from './erasure-record.ts'

/** What an error says to who asks for the erasure; of what is none of ours its name alone. */
export function failingOf(error: unknown, atMs: number): ErasureFailing {
  if (!(error instanceof PipelineError)) {
    const name = error instanceof Error ? error.name : 'Error'
    return { code: 'INTERNAL', text: `${name}: the log of the writer has more`, atMs }
  }
  const text = error.message.replace(/^\[\w+\] /, '').slice(0, erasureFailingTextMax)
  return { code: error.code, text, atMs }
}
