import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { type Hlc, hlcFromMs, parseHlc } from "../core/hlc.ts";
import { encodeHomeSite, HOME_SETTING, parseHomeSite } from "../core/home-site.ts";
import {
  makeVersionId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  parseSiteId,
} from "../core/names.ts";
import { decodeOperation } from "../core/operation-codec.ts";
import type { Operation, OperationBody } from "../core/records.ts";
import { required } from "../core/tagged-fields.ts";
import { ReissuedOperations } from "./reissued-operations.ts";

const FORMER = required(parseOriginId("a".repeat(16)), "origin");
const OTHER = required(parseOriginId("b".repeat(16)), "origin");
const INTO = required(parseOriginId("c".repeat(16)), "origin");
const NAME = {
  bucket: required(parseBucketName("photos"), "bucket"),
  key: required(parseObjectKey("cat"), "key"),
};
const FUTURE_MS = 9_000_000;

function seqOf(value: number) {
  return required(parseSeq(value), "sequence");
}

function rightAbove(hlc: Hlc): Hlc {
  return required(parseHlc(hlc + 1n), "reading");
}

/** The operations from the tenth on, in the future, as they are issued again at times from 1000 on. */
function reissue(...bodies: readonly OperationBody[]): Operation[] {
  let ms = 1000;
  const operations = new ReissuedOperations({
    withdrawn: [
      { origin: FORMER, from: seqOf(10), through: 1, before: undefined, first: undefined },
    ],
    ...{ into: INTO, nextHlc: () => hlcFromMs(ms++) },
    hash: { digest: (_name, bytes) => createHash("sha256").update(bytes).digest() },
  });
  return bodies.map((body, at) =>
    decodeOperation(
      operations.next({
        ...{ dot: { origin: FORMER, seq: seqOf(10 + at) }, hlc: hlcFromMs(FUTURE_MS + at), body },
        vector: { full: true, entries: new Map([[OTHER, seqOf(3)]]) },
        ...{ chainBefore: Buffer.alloc(32), group: undefined, unknownFields: [] },
      }),
    ),
  );
}

function marker(standsAt: Hlc): OperationBody {
  const what = { nullSlot: false, nullMarker: false, deletedMs: FUTURE_MS };
  return { kind: "object-delete", ...NAME, ...what, standsAt };
}

test("operations begin the log of their new origin, and know what was before them", () => {
  const [first, second] = reissue(marker(hlcFromMs(5)), marker(hlcFromMs(6)));
  expect([first?.dot, second?.dot]).toEqual([
    { origin: INTO, seq: 1 },
    { origin: INTO, seq: 2 },
  ]);
  expect([...(first?.vector.entries ?? [])].sort()).toEqual([
    [FORMER, 9],
    [OTHER, 3],
  ]);
  expect(first?.body).toMatchObject({ deletedMs: 1000, standsAt: hlcFromMs(5) });
});

test("a marker stays right above its version, and is named as it is called now", () => {
  const write = hlcFromMs(FUTURE_MS);
  const deletes = makeVersionId(rightAbove(write), FORMER);
  const [, made, removed] = reissue(
    { kind: "object-delete", ...NAME, nullSlot: false, nullMarker: false, deletedMs: 1 },
    marker(rightAbove(write)),
    { kind: "version-delete", ...NAME, version: deletes },
  );
  const above = rightAbove(hlcFromMs(1000));
  expect(made?.body).toMatchObject({ standsAt: above });
  expect(removed?.body).toMatchObject({ version: makeVersionId(above, INTO) });
});

test("a version of somebody else keeps its name", () => {
  const version = makeVersionId(hlcFromMs(7), OTHER);
  const [removed] = reissue({ kind: "version-delete", ...NAME, version });
  expect(removed?.body).toMatchObject({ version });
});

test("a bucket's home waits for what was issued again, and not for what was withdrawn", () => {
  const site = required(parseSiteId("1".repeat(16)), "site");
  const after = new Map([
    [FORMER, seqOf(10)],
    [OTHER, seqOf(3)],
  ]);
  const value = encodeHomeSite({ site, epoch: 2, after });
  const { bucket } = NAME;
  const [, set] = reissue(marker(hlcFromMs(5)), {
    ...{ kind: "bucket-setting", bucket, name: HOME_SETTING, value },
  });
  const body = set?.body;
  if (body?.kind !== "bucket-setting" || body.value === undefined) throw new Error("no setting");
  expect([...(parseHomeSite(body.value)?.after ?? [])].sort()).toEqual([
    [FORMER, 9],
    [OTHER, 3],
    [INTO, 1],
  ]);
});
