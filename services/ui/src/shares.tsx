import type { CostAnswer, CostShare } from '@winnow/cost'
import { useState } from 'preact/hooks'
import { Figure } from './figure.tsx'
import { bytesText, countText, dollarsText } from './format.ts'
import type { RowsAsked } from './links.ts'
import { Wide } from './wide.tsx'

/** Names of one dimension that are listed; JSON of the API has all. */
const namesShownMax = 40
/** What the report adds up beyond its own limit of names: no row bears this one. */
const others = '(others)'

const questions = ['rule', 'tenant', 'service', 'variant', 'root'] as const

/** Who causes what, by one dimension at a time. */
export function Shares({
  answer,
  link,
}: {
  readonly answer: CostAnswer
  readonly link: (asked: RowsAsked | undefined) => string | undefined
}) {
  const [chosen, setChosen] = useState<(typeof questions)[number]>('rule')
  const known = questions.filter(one => answer.by?.[one] !== undefined)
  const dimension = known.includes(chosen) ? chosen : 'rule'
  const shares = answer.by?.[dimension] ?? []
  return (
    <section aria-labelledby="shares">
      <h2 id="shares">Who causes it</h2>
      <div class="choices">
        {known.map(one => (
          <button
            type="button"
            key={one}
            aria-pressed={one === dimension}
            onClick={() => setChosen(one)}
          >
            {one}
          </button>
        ))}
      </div>
      <Wide label={`Who causes it, by ${dimension}`}>
        <table>
          <thead>
            <tr>
              <th scope="col">{dimension}</th>
              <th scope="col">traces</th>
              <th scope="col">kept</th>
              <th scope="col">matched</th>
              <th scope="col">written</th>
              <th scope="col">a month</th>
              <th scope="col">a kept trace</th>
            </tr>
          </thead>
          <tbody>
            {shares.slice(0, namesShownMax).map(share => (
              <ShareRow key={share.name} share={share} dimension={dimension} link={link} />
            ))}
          </tbody>
        </table>
      </Wide>
      {shares.length > namesShownMax && (
        <p class="note">
          And {shares.length - namesShownMax} more: winnow cost --by {dimension} --json has them.
        </p>
      )}
      <p class="note">
        Hot, warm and cold are shared out by the bytes that were written, the ledger by decisions,
        what is fixed not at all. A trace counts where its last decision has it; <em>matched</em>{' '}
        counts kept traces of every rule that matched.
      </p>
    </section>
  )
}

function ShareRow({
  share: { name, traces, kept, matched, bytes, dollars, dollarsPerKept },
  dimension,
  link,
}: {
  readonly share: CostShare
  readonly dimension: string
  readonly link: (asked: RowsAsked | undefined) => string | undefined
}) {
  const of = { of: { [dimension]: name } }
  const to = (asked: RowsAsked): string | undefined => (name === others ? undefined : link(asked))
  const matchedOf: RowsAsked = dimension === 'rule' ? { matched: name } : { ...of, only: 'kept' }
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <Figure value={traces} text={countText(traces)} of={`${name}, traces`} href={to(of)} />
      </td>
      <td>
        <Figure
          value={kept}
          text={countText(kept)}
          of={`${name}, kept`}
          href={to({ ...of, only: 'kept' })}
        />
      </td>
      <td>
        <Figure
          value={matched}
          text={countText(matched)}
          of={`${name}, matched`}
          href={to(matchedOf)}
        />
      </td>
      <td>
        <Figure
          value={bytes}
          text={bytesText(bytes)}
          of={`${name}, written`}
          href={to({ ...of, only: 'written' })}
        />
      </td>
      <td>
        <Figure
          value={dollars.total}
          text={dollarsText(dollars.total)}
          of={`${name}, a month`}
          href={to(of)}
        />
      </td>
      <td>
        {dollarsPerKept !== null && (
          <Figure
            value={dollarsPerKept}
            text={dollarsText(dollarsPerKept)}
            of={`${name}, a kept trace`}
            href={to({ ...of, only: 'kept' })}
          />
        )}
      </td>
    </tr>
  )
}
