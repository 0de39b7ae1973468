import { expect, test } from "vitest";
import { SimClock } from "../../test/sim/sim-clock.ts";
import type { SiteRecord } from "../core/site-record.ts";
import type { RowRange } from "../storage/logical-rows.ts";
import { Bandwidth } from "./bandwidth.ts";
import { encodePage } from "./page-frame.ts";
import { PeerLie } from "./peer-lie.ts";
import { RowCalls } from "./row-calls.ts";
import { writeListAnswer, writeRangesAnswer, writeRowsHead } from "./wire-rows.ts";

const NEVER = new AbortController().signal;
const RANGE: RowRange = { from: "Dphotos\0b", to: "Dphotos\0d" };

/** Asks a peer that says of everything that it goes on at `next`. */
async function askAbout(next: string | undefined): Promise<ReadonlyArray<string | undefined>> {
  const answers: Readonly<Record<string, Buffer>> = {
    "/v1/repl/rows": encodePage({ head: writeRowsHead({ next, refused: [] }), entries: [] }, false),
    "/v1/repl/ranges": writeRangesAnswer({ ranges: [{ hash: Buffer.alloc(32), count: 0, next }] }),
    "/v1/repl/row-hashes": writeListAnswer({ rows: [], next, applied: new Map() }),
  };
  const calls = new RowCalls(
    {
      ask: async (_peer, { path }) => ({ status: 200, body: answers[path] ?? Buffer.of() }),
      bandwidth: new Bandwidth(new SimClock(), undefined),
      known: () => [],
    },
    { id: "0123456789abcdef" } as unknown as SiteRecord,
  );
  const rows = { range: RANGE, positions: [], bytesMax: 1000, bodies: false };
  const asked = [
    calls.rows(rows, NEVER).then((page) => page.next),
    calls.ranges([RANGE], 10, NEVER).then(([range]) => range?.next),
    calls.list(RANGE, NEVER).then((page) => page.next),
  ];
  return (await Promise.allSettled(asked)).map((one) =>
    one.status === "fulfilled" ? one.value : one.reason instanceof PeerLie ? "a lie" : "failed",
  );
}

test("a peer goes on within the range that it was asked for, or has told all of it", async () => {
  for (const next of ["Dphotos\0b\0", "Dphotos\0c", undefined]) {
    expect(await askAbout(next)).toEqual([next, next, next]);
  }
});

test.each(["", "Dphotos\0a", RANGE.from, "Dphotos\0d", "Dphotos\0e"])(
  "a peer that goes on at %j lies: whoever follows it would ask for ever",
  async (next) => {
    expect(await askAbout(next)).toEqual(["a lie", "a lie", "a lie"]);
  },
);
