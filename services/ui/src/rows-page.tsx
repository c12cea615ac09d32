import type { CostRows } from '@winnow/cost'
import { useEffect, useRef, useState } from 'preact/hooks'
import { rowsPath } from './api.ts'
import { bytesText, countText } from './format.ts'
import { type CostPlace, costLink, rowsTitle } from './links.ts'
import { NoAnswer } from './states.tsx'
import { useAsked } from './use-asked.ts'
import { Wide } from './wide.tsx'

const rowsShown = 100
const rowsShownMax = 1_000

/** The decisions that a figure adds up, each with what it adds. */
export function RowsPage({
  asked,
  from,
  apiKey,
  onKey,
}: {
  readonly asked: URLSearchParams
  readonly from: CostPlace
  readonly apiKey: string | undefined
  readonly onKey: (key: string | undefined) => void
}) {
  const [limit, setLimit] = useState(rowsShown)
  const [answer, again] = useAsked<CostRows>(rowsPath(asked, limit), apiKey)
  const heading = useRef<HTMLHeadingElement>(null)
  const title = rowsTitle(asked)
  // Who followed another link is told where it led
  useEffect(() => heading.current?.focus(), [title])
  return (
    <>
      <p>
        <a href={costLink(from)}>← Back to the figures</a>
      </p>
      <h1 tabIndex={-1} ref={heading}>
        {title}
      </h1>
      {answer.kind !== 'answer' ? (
        <NoAnswer asked={answer} apiKey={apiKey} onKey={onKey} onAgain={again} />
      ) : (
        <Rows
          answer={answer.body}
          onMore={() => setLimit(rowsShownMax)}
          isAll={limit > rowsShown}
        />
      )}
    </>
  )
}

function Rows({
  answer: { sum, rows, more, withheld, reachedSince },
  onMore,
  isAll,
}: {
  readonly answer: CostRows
  readonly onMore: () => void
  readonly isAll: boolean
}) {
  return (
    <>
      <p role="status" class="sum">
        <data value={String(sum.decisions)}>{countText(sum.decisions)}</data> decisions on{' '}
        <data value={String(sum.traces)}>{countText(sum.traces)}</data> traces, of which{' '}
        <data value={String(sum.kept)}>{countText(sum.kept)}</data> were kept, had{' '}
        <data value={String(sum.bytes)}>{bytesText(sum.bytes)}</data> written.
      </p>
      {reachedSince !== undefined && (
        <p class="note">
          These are those since {reachedSince.slice(0, 19).replace('T', ' ')} UTC: the time before
          has more segments than one question reads.
        </p>
      )}
      {rows.length === 0 && <p>No decision fits: the ledger has none of these in this time.</p>}
      {rows.length > 0 && (
        <Wide label="Decisions">
          <table class="rows">
            <thead>
              <tr>
                {[
                  'decided, UTC',
                  'tenant',
                  'trace',
                  'revision',
                  'verdict',
                  'rules, the primary first',
                ].map(name => (
                  <th scope="col" key={name}>
                    {name}
                  </th>
                ))}
                {['service', 'root', 'variant', 'spans', 'traces', 'kept', 'bytes'].map(name => (
                  <th scope="col" key={name}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(row => (
                <tr key={`${row.tenant} ${row.traceId} ${row.revision}`}>
                  <td class="word">{row.decidedAt.slice(0, 19).replace('T', ' ')}</td>
                  <td class="word">{row.tenant}</td>
                  <th scope="row">
                    <code>{row.traceId}</code>
                  </th>
                  <td>{row.revision}</td>
                  <td class="word">{row.verdict}</td>
                  <td class="word">{row.rules.join(', ') || row.rule}</td>
                  <td class="word">{row.service}</td>
                  <td class="word">{row.root}</td>
                  <td class="word">{row.variant}</td>
                  <td>{countText(row.spans)}</td>
                  <td>{row.adds.traces}</td>
                  <td>{row.adds.kept}</td>
                  <td>
                    <data value={String(row.adds.bytes)}>{bytesText(row.adds.bytes)}</data>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
      {more > 0 && (
        <p>
          And {countText(more)} older ones, which are added up above.{' '}
          {!isAll && (
            <button type="button" onClick={onMore}>
              Show up to {countText(rowsShownMax)}
            </button>
          )}
        </p>
      )}
      {withheld > 0 && (
        <p>{countText(withheld)} of them are not shown: their traces are being erased.</p>
      )}
      <p class="note">
        <code>winnow why TRACE</code> says why each was decided as it was.
      </p>
    </>
  )
}
