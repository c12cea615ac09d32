import type { AnyValue, KeyValue, TracesData } from '@winnow/otlp'
import { classOf, type Level, type LevelSource } from '@winnow/privacy'
import { isClearValue, type SpanRow } from '@winnow/storage'

/** Where an attribute stands. Of a scope nothing is stored beside the text. */
export type AttributePlace = 'resource' | 'scope' | 'span' | 'event' | 'link'

/** An attribute that was seen, its class, and who says so. Never a value of it. */
export interface AttributeLevel {
  /** A number in it is `N`. */
  readonly key: string
  readonly level: Level
  readonly source: LevelSource
  /** As it stands in the list or in the configuration; null where none names the key. */
  readonly pattern: string | null
  readonly places: readonly AttributePlace[]
  readonly types: readonly string[]
  readonly values: number
  /** Of them those that are content by their looks, whatever their key says: prose, long lists, maps. */
  readonly hidden: number
}

export interface LevelsReport {
  readonly v: 1
  readonly spans: number
  readonly attributes: readonly AttributeLevel[]
  /** Keys over {@link attributeKeysMax} that were not counted. */
  readonly more: number
}

/** Keys that are told apart; a client that makes a key of a value would have them without end. */
export const attributeKeysMax = 10_000

interface Seen {
  readonly key: string
  readonly places: Set<AttributePlace>
  readonly types: Set<string>
  values: number
  hidden: number
}

/** Gathers the attributes of spans by key, whatever their text says. */
export class AttributeLevels {
  readonly #seen = new Map<string, Seen>()
  readonly #over = new Set<string>()
  #spans = 0

  traces(data: TracesData): void {
    for (const { resource, scopeSpans } of data.resourceSpans) {
      this.#all('resource', resource.attributes)
      for (const { scope, spans } of scopeSpans) {
        this.#all('scope', scope.attributes)
        for (const span of spans) {
          this.#spans++
          this.#all('span', span.attributes)
          for (const event of span.events) this.#all('event', event.attributes)
          for (const link of span.links) this.#all('link', link.attributes)
        }
      }
    }
  }

  /** Rows whose text has expired: what is left has been classed as it was written. */
  rows(rows: readonly SpanRow[]): void {
    for (const row of rows) {
      this.#spans++
      const { attributes, resource_attributes: resource } = row
      for (const [place, text] of [
        ['span', attributes],
        ['resource', resource],
      ] as const) {
        for (const [key, value] of Object.entries(JSON.parse(text) as object)) {
          this.#add(place, key, Object.keys(value as object)[0], false)
        }
      }
    }
  }

  /** By level, then by key. */
  report(): LevelsReport {
    const attributes = [...this.#seen.values()].map(({ key, places, types, values, hidden }) => {
      const { level, source, pattern = null } = classOf(key.replaceAll(/(?<=^|\.)N(?=\.|$)/g, '0'))
      const seen = { places: [...places].sort(), types: [...types].sort(), values, hidden }
      return { key, level, source, pattern, ...seen }
    })
    const order: readonly Level[] = ['structural', 'structured', 'content']
    attributes.sort(
      (a, b) => order.indexOf(a.level) - order.indexOf(b.level) || (a.key < b.key ? -1 : 1),
    )
    return { v: 1, spans: this.#spans, attributes, more: this.#over.size }
  }

  #all(place: AttributePlace, attributes: readonly KeyValue[]): void {
    for (const { key, value } of attributes) {
      this.#add(place, key, Object.keys(value)[0], !isClearValue(value as AnyValue))
    }
  }

  #add(place: AttributePlace, key: string, type = 'empty', isHidden: boolean): void {
    const name = key.replaceAll(/(?<=^|\.)\d{1,6}(?=\.|$)/g, 'N')
    let seen = this.#seen.get(name)
    if (seen === undefined) {
      if (this.#seen.size >= attributeKeysMax) {
        if (this.#over.size < attributeKeysMax) this.#over.add(name)
        return
      }
      seen = { key: name, places: new Set(), types: new Set(), values: 0, hidden: 0 }
      this.#seen.set(name, seen)
    }
    seen.places.add(place)
    seen.types.add(type.replace(/Value$/, ''))
    seen.values++
    if (isHidden) seen.hidden++
  }
}
