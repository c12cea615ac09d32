import type { CostAnswer } from '@winnow/cost'
import { useState } from 'preact/hooks'
import type { Unanswered } from './api.ts'
import { daysText } from './format.ts'

/** What is shown in place of an answer, with what can be done. */
export function NoAnswer({
  asked,
  apiKey,
  onKey,
  onAgain,
}: {
  readonly asked: Unanswered
  readonly apiKey: string | undefined
  readonly onKey: (key: string | undefined) => void
  readonly onAgain: () => void
}) {
  switch (asked.kind) {
    case 'loading':
      return (
        <div class="state" role="status">
          <p>Listing the stores and reading the ledger …</p>
          <div class="skeleton" />
          <div class="skeleton" />
        </div>
      )
    case 'key':
      return (
        <div class="state" role="alert">
          <h1>{apiKey === undefined ? 'A key is needed' : 'This key is not known'}</h1>
          <p>{asked.remedy}</p>
          <KeyForm onKey={onKey} />
        </div>
      )
    case 'scope':
      return (
        <div class="state" role="alert">
          <h1>This key may not see that</h1>
          <p>{asked.remedy}</p>
          <KeyForm onKey={onKey} />
        </div>
      )
    case 'gone':
      return (
        <div class="state" role="alert">
          <h1>No answer</h1>
          <p>{asked.remedy}</p>
          <Again onAgain={onAgain} />
        </div>
      )
    case 'refused':
    case 'failed':
      return (
        <div class="state" role="alert">
          <h1>{asked.kind === 'failed' ? 'Winnow could not answer' : 'Winnow refused this'}</h1>
          <p>{asked.remedy}</p>
          <p class="note">
            Code <code>{asked.code}</code>
          </p>
          <Again onAgain={onAgain} />
        </div>
      )
  }
}

function Again({ onAgain }: { readonly onAgain: () => void }) {
  return (
    <button type="button" onClick={onAgain}>
      Try again
    </button>
  )
}

function KeyForm({ onKey }: { readonly onKey: (key: string) => void }) {
  const [given, setGiven] = useState('')
  return (
    <form
      class="key"
      onSubmit={event => {
        event.preventDefault()
        if (given !== '') onKey(given)
      }}
    >
      <label>
        API key{' '}
        <input
          type="password"
          autocomplete="off"
          value={given}
          onInput={event => setGiven(event.currentTarget.value)}
        />
      </label>
      <button type="submit">Use it</button>
      <p class="note">With the scope read; for all tenants admin too. It stays in this tab.</p>
    </form>
  )
}

/** Nothing is stored: how spans get here, with the address that this page came from. */
export function Empty({ onAgain }: { readonly onAgain: () => void }) {
  const host = location.hostname || '127.0.0.1'
  return (
    <div class="state">
      <h1>Nothing is stored yet</h1>
      <p role="status">
        Waiting for the first segment: it is written up to <code>writer.segmentAge</code> after its
        first decision. This page asks again by itself.
      </p>
      <p>Send spans from an application,</p>
      <pre>
        <code>{`export OTEL_EXPORTER_OTLP_ENDPOINT=http://${host}:4318\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_EXPORTER_OTLP_HEADERS=x-api-key=KEY   # where keys are configured`}</code>
      </pre>
      <p>or a day's worth of examples:</p>
      <pre>
        <code>npx winnow up --demo</code>
      </pre>
      <button type="button" onClick={onAgain}>
        Ask now
      </button>
    </div>
  )
}

/** There is a store, and nobody decided anything in this time: nothing to wait for. */
export function Idle({
  answer: { window, reachedSince },
  onAgain,
}: {
  readonly answer: Pick<CostAnswer, 'window' | 'reachedSince'>
  readonly onAgain: () => void
}) {
  return (
    <div class="state">
      <h1>No decisions in these days</h1>
      <p role="status">Other days, or all tenants, may have some.</p>
      {reachedSince !== undefined && <Reached since={reachedSince} until={window.until} />}
      <Again onAgain={onAgain} />
    </div>
  )
}

/** Of a window with more than one question reads. */
export function Reached({ since, until }: { readonly since: string; readonly until: string }) {
  return (
    <p class="note">
      All figures are of the last {daysText((Date.parse(until) - Date.parse(since)) / 86_400_000)}{' '}
      of the window: the ledger has more segments in it than one question reads. A longer{' '}
      <code>writer.segmentAge</code> makes fewer; <code>winnow cost</code> reads all of them.
    </p>
  )
}
