import { expect, test } from 'vitest'
import { bothOf, said, trace, trueOfTrace } from './condition.fixture.ts'

test.each([
  ...trueOfTrace,
  'services == ["refund-bot", "retrieval"] && !(services == ["retrieval"]) && services != ["x"]',
  'services + ["x"] == ["refund-bot", "retrieval", "x"] && size(services + services) == 4',
  '["retrieval"] in [["x"], ["retrieval"]] && !(["x"] in [["retrieval"]])',
  '!(citation.score in [citation.score]) && !(root.durationMs in [1.0]) && csat in [csat]',
  '(hasRoot ? root.name : service) + "!" == "refund_chat.turn!"',
  '(hasRoot ? 1 : 2) < 2 && (spanCount > 90 ? false : true)',
  'root.name.upperAscii().lowerAscii() == root.name && root.name.contains("_chat")',
  'root.name.startsWith("refund") && root.name.endsWith("turn") && root.name.matches("d_c")',
  'service < "s" && service <= service && "s" > service && service >= service',
  'spanCount < totalTokens && spanCount <= spanCount && durationMs > costUsd && 3 >= spanCount',
  'spanCount - 1 == 2 && spanCount + 1 == 4 && spanCount * -2 == -6 && spanCount / 2 == 1.5',
  '400 < attribute["code"] && 500 <= attribute["code"] && 300 > attribute["code"]',
  '200 >= attribute["code"] && attribute["code"] <= 200 && 7 != attribute["code"]',
  '[attribute["code"] == 500, attribute["code"] == 200].exists(x, x)',
  '[attribute["code"], attribute["tier"]].exists_one(v, v == "gold")',
  'services.all(x, x.startsWith("re")) && services.exists_one(x, size(x) == 9)',
  '!services.exists_one(x, true) && !services.exists_one(x, false) && size("a😀") == 2',
  'size(services.filter(x, x.endsWith("bot"))) == 1 && services.filter(x, false) == []',
  'size("héllo") == 5 && "héllo".size() == 5 && services.size() == 2 && !("x" in [])',
  'spans.filter(s, s.durationMs > 1).all(s, s.durationMs == 12.5)',
  'attribute["code"].asText() in ["200"] && attribute["tier"].asBool() != true',
  '(attribute["tier"] == "gold") == (attribute["code"] == 200) || false',
])('a condition says what the library says of it: %s', text => {
  const { own, theirs } = bothOf(text, trace, said)
  expect(own).toEqual(theirs)
  expect(own[0]).toBe(true)
})
