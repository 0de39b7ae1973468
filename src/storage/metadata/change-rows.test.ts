import { expect, test } from "vitest";
import { ApplySite, BUCKET, KEYS, ORIGINS, objectOf } from "../../../test/support/apply-sites.ts";
import { ByteReader, ByteWriter } from "../../core/bytes.ts";
import { makeVersionId, type OriginId, parseOriginId } from "../../core/names.ts";
import type { Operation } from "../../core/records.ts";
import { required } from "../../core/tagged-fields.ts";
import { nullChanges } from "./change-rows.ts";
import { nullVersion } from "./key-versions.ts";
import { decodeMetaRow, encodeMetaRow, type MetaRow } from "./meta-rows.ts";
import { TABLES } from "./rows.ts";

const [A, B, C] = [0, 1, 2].map((index) => required(ORIGINS[index], "origin"));
const NAME = { bucket: BUCKET, key: required(KEYS[0], "key") };
const PUT = { kind: "object-put", ...NAME, nullSlot: true } as const;

function site(origin: OriginId | undefined): ApplySite {
  return new ApplySite(required(origin, "origin"));
}

function tag(writer: ApplySite, tick: number, { hlc, dot }: Operation): Operation {
  const version = makeVersionId(hlc, dot.origin);
  const change = { kind: "tags", tags: [["at", `${tick}`]] } as const;
  return writer.write(tick, { kind: "object-meta", ...NAME, version, nullSlot: true, change });
}

test("changes of several writes of a slot stand beside each other, and read as they were written", () => {
  const [a, b, tagger] = [site(A), site(B), site(C)];
  const changer = site(required(parseOriginId("dd".repeat(8)), "origin"));
  const first = a.write(1, { ...PUT, object: objectOf(1) });
  const second = b.write(2, { ...PUT, object: objectOf(2) });
  for (const one of [first, second]) tagger.hear(one);
  // Here both are waited for.
  changer.hear(tag(tagger, 4, second));
  changer.hear(tag(tagger, 5, first));
  const row = nullChanges(changer.view, NAME);
  expect(row.map(({ target }) => target.hlc)).toEqual([second.hlc, first.hlc]);
  const [latest, ...others] = row;
  const whole: MetaRow = { ...required(latest, "changes"), others };
  const writer = new ByteWriter(64);
  encodeMetaRow(writer, whole);
  expect(decodeMetaRow(new ByteReader(writer.finish()))).toEqual(whole);
  // The first comes, with its change; then the second takes its place.
  changer.hear(first);
  expect(tagsAt(changer)).toEqual([["at", "5"]]);
  expect(nullChanges(changer.view, NAME)).toHaveLength(2);
  changer.hear(second);
  expect(tagsAt(changer)).toEqual([["at", "4"]]);
  // Neither knew of the other: the first is a conflict, which keeps what was said of it.
  expect(nullChanges(changer.view, NAME)).toEqual(row);
  const write = { hlc: first.hlc, ...first.dot };
  changer.write(6, { kind: "conflict-resolve", ...NAME, write });
  expect(nullChanges(changer.view, NAME)).toEqual([latest]);
  expect(changer.rowsAfterRebuild()).toEqual(changer.rows());
});

function tagsAt({ view }: ApplySite): unknown {
  const found = nullVersion(view, NAME);
  return found?.kind === "object" ? found.row.object.attributes.tags : undefined;
}

test("a mark of a removal takes changes along, also where a rebuild meets what was there before", () => {
  const writer = site(A);
  const first = writer.write(1, { ...PUT, object: objectOf(1) });
  const ofFirst = tag(writer, 2, first);
  const second = writer.write(3, { ...PUT, object: objectOf(3) });
  const ofSecond = tag(writer, 4, second);
  const stamp = makeVersionId(second.hlc, second.dot.origin);
  for (const left of [
    [first, ofFirst, second, ofSecond],
    [first, ofFirst],
    [ofFirst, ofSecond],
  ]) {
    const here = site(B);
    for (const operation of left) here.hear({ ...operation, dot: { ...operation.dot } });
    here.local({ kind: "rows-removed", rows: [{ what: "null", ...NAME, stamp }] });
    expect(nullVersion(here.view, NAME)).toBeUndefined();
    expect(nullChanges(here.view, NAME)).toEqual([]);
    expect(here.view.get(TABLES.usage, BUCKET)?.metas ?? 0).toBe(0);
  }
});
