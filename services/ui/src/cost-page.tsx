import type { CostAnswer } from '@winnow/cost'
import { useEffect, useMemo } from 'preact/hooks'
import { costPath } from './api.ts'
import { BillTable, ComparedTable, StoredTable } from './cost-tables.tsx'
import { Figure } from './figure.tsx'
import { bytesText, countText, daysText, dollarsText, shareText } from './format.ts'
import { type CostPlace, costLink, type RowsAsked, rowsLink, rowsOfTier, windows } from './links.ts'
import { Picture } from './picture.tsx'
import { forecastStack, kindOf, otherRules, ruleStack, tierStack } from './series.ts'
import { Shares } from './shares.tsx'
import { Empty, Idle, NoAnswer, Reached } from './states.tsx'
import { useAsked } from './use-asked.ts'

/** How often a pipeline without anything stored is looked at. */
const emptyWaitMs = 3_000

export function CostPage({
  place,
  apiKey,
  onKey,
  theme,
}: {
  readonly place: CostPlace
  readonly apiKey: string | undefined
  readonly onKey: (key: string | undefined) => void
  readonly theme: string
}) {
  const [asked, again] = useAsked<CostAnswer>(costPath(place), apiKey)
  const kind = asked.kind === 'answer' ? kindOf(asked.body) : undefined
  const isEmpty = kind === 'nothing'
  // Every answer that has nothing begins a new wait
  useEffect(() => {
    if (!isEmpty) return
    const timer = setTimeout(again, emptyWaitMs)
    return () => clearTimeout(timer)
  }, [asked])
  return (
    <>
      <Choices place={place} />
      {asked.kind !== 'answer' ? (
        <NoAnswer asked={asked} apiKey={apiKey} onKey={onKey} onAgain={again} />
      ) : isEmpty ? (
        <Empty onAgain={again} />
      ) : kind === 'idle' ? (
        <Idle answer={asked.body} onAgain={again} />
      ) : (
        <Report answer={asked.body} place={place} theme={theme} />
      )}
    </>
  )
}

function Choices({ place }: { readonly place: CostPlace }) {
  return (
    <nav class="choices" aria-label="What is shown">
      <ul>
        {windows.map(days => (
          <li key={days}>
            <a
              href={costLink({ ...place, days })}
              aria-current={place.days === days ? 'page' : undefined}
            >
              {days === 1 ? '1 day' : `${days} days`}
            </a>
          </li>
        ))}
      </ul>
      <ul>
        {[false, true].map(isAll => (
          <li key={String(isAll)}>
            <a
              href={costLink({ ...place, isAll })}
              aria-current={place.isAll === isAll ? 'page' : undefined}
            >
              {isAll ? 'all tenants' : 'own tenant'}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Report({
  answer,
  place,
  theme,
}: {
  readonly answer: CostAnswer
  readonly place: CostPlace
  readonly theme: string
}) {
  const { window, days = [], forecast } = answer
  const byTier = useMemo(() => tierStack(days, window), [answer])
  const byRule = useMemo(() => ruleStack(days, window), [answer])
  const ahead = useMemo(() => forecastStack(forecast), [answer])
  const link = (asked: RowsAsked | undefined): string | undefined =>
    asked && rowsLink(place, window, asked)
  const on = (day: string | undefined): RowsAsked => (day === undefined ? {} : { day })
  return (
    <>
      <Totals answer={answer} place={place} />
      <ComparedTable answer={answer} link={link} />
      <Picture
        title="Bytes into each tier, by day"
        note="As the store lists them, by the UTC day of their first decision; hot is shared out by what each day had written. The last day is not over."
        stack={byTier}
        text={bytesText}
        isSummed
        theme={theme}
        linkOf={(tier, at) => {
          const of = tier === undefined ? {} : rowsOfTier(tier)
          return link(of && { ...of, ...on(at === undefined ? undefined : byTier.labels[at]) })
        }}
      />
      <Picture
        title="Bytes kept by each rule, by day"
        note="Of slices as they were sent, by the primary rule of the decision that had them written: hot, warm and cold follow them."
        stack={byRule}
        text={bytesText}
        isSummed
        theme={theme}
        linkOf={(rule, at) => {
          if (rule === otherRules) return undefined
          const of = rule === undefined ? {} : { of: { rule } }
          const day = at === undefined ? undefined : byRule.labels[at]
          return link({ only: 'written', ...of, ...on(day) })
        }}
      />
      <Picture
        title="What a month costs, as the tiers fill"
        note="The month that ends so many days after an empty store, at the rate that was measured."
        stack={ahead}
        text={dollarsText}
        isSummed={false}
        theme={theme}
        linkOf={tier => link(tier === undefined ? {} : rowsOfTier(tier))}
      />
      <Shares answer={answer} link={link} />
      <BillTable answer={answer} link={link} />
      <StoredTable answer={answer} />
    </>
  )
}

function Totals({ answer, place }: { readonly answer: CostAnswer; readonly place: CostPlace }) {
  const { monthTotal, measuredDays, days = [], tenant, window, reachedSince } = answer
  const sum = (of: 'traces' | 'kept' | 'bytes'): number =>
    days.reduce((total, { all }) => total + all[of], 0)
  const [traces, kept, bytes] = [sum('traces'), sum('kept'), sum('bytes')]
  const link = (asked: RowsAsked): string => rowsLink(place, window, asked)
  return (
    <section aria-labelledby="totals">
      <h1 id="totals">
        A month costs{' '}
        <Figure
          value={monthTotal}
          text={dollarsText(monthTotal)}
          of="A month"
          href={link({ only: 'written' })}
        />
      </h1>
      <p class="note">
        {tenant === null ? 'Of all tenants' : `Of tenant ${tenant}, without what is fixed`}, once
        every tier is full, at the rate of the last {daysText(measuredDays)}.
        {measuredDays < 1 / 24 &&
          ' So short a time says little: ask again after an hour, better after a week.'}
      </p>
      {reachedSince !== undefined && <Reached since={reachedSince} until={window.until} />}
      <dl class="totals">
        <div>
          <dt>traces decided</dt>
          <dd>
            <Figure value={traces} text={countText(traces)} of="traces decided" href={link({})} />
          </dd>
        </div>
        <div>
          <dt>kept</dt>
          <dd>
            <Figure
              value={kept}
              text={countText(kept)}
              of="traces kept"
              href={link({ only: 'kept' })}
            />{' '}
            <small>{shareText(kept, traces)}</small>
          </dd>
        </div>
        <div>
          <dt>written, as sent</dt>
          <dd>
            <Figure
              value={bytes}
              text={bytesText(bytes)}
              of="bytes written"
              href={link({ only: 'written' })}
            />
          </dd>
        </div>
      </dl>
    </section>
  )
}
