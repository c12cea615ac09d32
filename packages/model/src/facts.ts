/**
 * What rules may look at, as a function of one slice's bytes alone: it depends on nothing that the
 * assembler remembers, so that a replay or a second owner extracts the same (protocol E). Sums are
 * kept span by span in `spans`, because a span that a client sent twice lies in two slices and must
 * count once; everything else is idempotent under union.
 */
export interface SliceFacts {
  /** Earliest start and latest end of the slice's spans, Unix nanoseconds as decimal text. */
  readonly startNs: string
  readonly endNs: string
  /** Base64 of `spanCount` blocks of {@link spanBlockBytes}, see span-blocks.ts. */
  readonly spans: string
  /** Spans that may be the trace's root: without parent, or entry spans. At most {@link factListMax}. */
  readonly roots?: readonly RootFact[]
  /** Spans with status ERROR. At most {@link factListMax}; `errorCount` in the blocks is exact. */
  readonly errors?: readonly ErrorFact[]
  /** Outcomes that the spans state themselves. At most {@link factListMax}. */
  readonly outcomes?: readonly SpanOutcome[]
  /** Distinct `service.name`s, in order of appearance. At most {@link factListMax}. */
  readonly services?: readonly string[]
  /** First `experiment.id` and `experiment.variant` found, resource before span. */
  readonly experiment?: string
  readonly variant?: string
  /** `ot` members of the first trace state that has them (conventions c.11): lower-case hex. */
  readonly rv?: string
  readonly th?: string
  /**
   * What rules ask of single spans beyond the facts above, see columns.ts: the names of the columns, in
   * the order of a row's cells. Absent where no rule asks. A slice read before a rule asked has none, so
   * that nobody takes a column that was not recorded for one that was empty.
   */
  readonly columns?: readonly string[]
  /** Distinct rows of the spans, cells at the end that are null left out. At most `rowsMax`. */
  readonly rows?: readonly SpanRow[]
  /** Of spans in `roots` the id, and which row is theirs. */
  readonly rootRows?: readonly (readonly [spanId: string, row: number])[]
  /** A list above was cut at {@link factListMax}, or the rows at `rowsMax` or `rowsBytesMax`. */
  readonly truncated?: true
  /** Values of attributes that were no number where one was wanted, ignored. */
  readonly ignored?: number
}

export interface RootFact {
  /** 16 hex digits. */
  readonly spanId: string
  /** Absent: no parent. Present: an entry span (SERVER, CONSUMER or remote parent flag). */
  readonly parentId?: string
  readonly service: string
  readonly name: string
  readonly startNs: string
  /** 0 when the end lies before the start. */
  readonly durationMs: number
  readonly error?: true
}

export interface ErrorFact {
  readonly spanId: string
  readonly name: string
}

/** An outcome found on a span. `name` is `judge`, `citation`, `csat`, or `outcome.<rest>`. */
export interface SpanOutcome {
  readonly name: string
  readonly spanId: string
  readonly score?: number
  readonly label?: string
  readonly passed?: boolean
  /** A condition of `outcomes:` has said whether it passed: score and label are judged by no rule. */
  readonly settled?: true
  /** Citation only. `unsupported` is the count of entries, never their text. */
  readonly extracted?: number
  readonly supported?: number
  readonly unsupported?: number
}

/** One cell a column. null: the span does not have it. */
export type SpanRow = readonly SpanCell[]

/**
 * A value as rules compare it. `{}`: it is there and no rule may see it: a text longer than
 * {@link factTextBytesMax}, which is content, an array, or bytes.
 */
export type SpanCell = string | number | boolean | null | HiddenCell
export type HiddenCell = Readonly<Record<string, never>>

/** Above this a list of a slice is cut and `truncated` set, so that a record stays bounded. */
export const factListMax = 32

/** Longest label, name or service kept in a fact, in UTF-8 bytes; longer text is content, not a fact. */
export const factTextBytesMax = 64
