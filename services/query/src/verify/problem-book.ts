import { type Problem, problemsMax } from './problem.ts'

/** What is wrong in a partition, by series or by place: the first of each, up to a number of them. */
export class ProblemBook {
  readonly #problems = new Map<string, Problem>()
  #beyond = 0

  get all(): readonly Problem[] {
    return [...this.#problems.values()]
  }

  /** Problems that are counted and not remembered. */
  get beyond(): number {
    return this.#beyond
  }

  get isEmpty(): boolean {
    return this.#problems.size === 0
  }

  /** Spans by which the window is out of balance for them. */
  get spans(): number {
    let spans = this.#beyond
    for (const problem of this.#problems.values()) spans += problem.spans
    return spans
  }

  report(key: string, problem: Problem): void {
    if (this.#problems.has(key)) return
    if (this.#problems.size < problemsMax) this.#problems.set(key, problem)
    else this.#beyond++
  }

  /** Something is wrong with the last decision on a trace. */
  blame(tenant: number, problem: Problem): void {
    this.report(`trace:${tenant}:${problem.traceId}`, problem)
  }

  /** What was wrong with its last decision is not with the next one. */
  forgive(tenant: number, traceId: string): void {
    this.#problems.delete(`trace:${tenant}:${traceId}`)
  }

  /** What lies below `offset` has left the window. */
  expireBefore(offset: number): void {
    for (const [key, { ref }] of this.#problems) {
      if (ref.offset < offset) this.#problems.delete(key)
    }
  }
}
