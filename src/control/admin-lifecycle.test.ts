import { describe, expect, test } from "vitest";
import { lifecycleRule, lifecycleValue } from "../../test/support/lifecycle-rules.ts";
import { hlcFromMs } from "../core/hlc.ts";
import { LIFECYCLE_SETTING } from "../core/lifecycle-codec.ts";
import { systemClock } from "../ports/system-clock.ts";
import type { StoredVersion } from "../storage/store.ts";
import {
  type LifecycleDesk,
  planLifecycle,
  runLifecycle,
  showLifecycle,
} from "./admin-lifecycle.ts";

const SETTING = lifecycleValue(
  lifecycleRule({ id: "old logs", expiration: { kind: "days", days: 1 } }),
);
const COUNTS = { examined: 3, expired: 2, removed: 1, uploadsAborted: 0, kept: 0 };
const NOW = Date.parse("2026-01-15T12:00:00Z");

/** As much of a site as lifecycles need: one object for each moment. */
function deskOf(...madeMs: number[]): LifecycleDesk & { readonly ran: Array<string | undefined> } {
  const ran: Array<string | undefined> = [];
  const versions = madeMs.map((lastModifiedMs, at) => {
    const record = { size: 1, lastModifiedMs, attributes: { tags: [] } };
    const object = { key: `key-${at}`, version: `v${at}`, record };
    const place = { isNull: false, isLatest: true, hlc: hlcFromMs(lastModifiedMs) };
    return { kind: "object", ...place, object } as unknown as StoredVersion;
  });
  const store = {
    bucket: (name: string) =>
      name === "nowhere"
        ? undefined
        : { name, settings: new Map(name === "plain" ? [] : [[LIFECYCLE_SETTING, SETTING]]) },
    versions: () => {
      const left = [...versions];
      return { next: () => left.shift(), seek: () => undefined, close: () => undefined };
    },
  } as unknown as LifecycleDesk["store"];
  const lifecycle = {
    runNow: async (bucket: string | undefined) => {
      ran.push(bucket);
      return COUNTS;
    },
    stats: () => ({ ...COUNTS, running: false, passes: 4, lastPassMs: NOW }),
  };
  return { store, lifecycle, clock: { ...systemClock, nowMs: () => NOW }, ran };
}

describe("the administration of lifecycles", () => {
  test("tells what has been done", () => {
    expect(showLifecycle(deskOf()).body).toEqual({
      running: false,
      passes: 4,
      last_pass: "2026-01-15T12:00:00.000Z",
      examined: 3,
      expired: 2,
      removed: 1,
      uploads_aborted: 0,
      kept: 0,
    });
  });

  test("runs all of them, or that of one bucket", async () => {
    const desk = deskOf();
    expect((await runLifecycle(desk, undefined)).status).toBe(200);
    expect((await runLifecycle(desk, { bucket: "photos" })).body).toMatchObject({ expired: 2 });
    expect(desk.ran).toEqual([undefined, "photos"]);
  });

  test.each([
    [{ bucket: "nowhere" }, 404],
    [{ bucket: "NOT A NAME" }, 404],
    [{ bucket: "plain" }, 409],
    [{ buckets: "photos" }, 400],
    [{ bucket: 7 }, 400],
    ["photos", 400],
  ])("answers %j with %i, and runs nothing", async (body, status) => {
    const desk = deskOf(NOW);
    expect((await runLifecycle(desk, body)).status).toBe(status);
    expect((await planLifecycle(desk, body)).status).toBe(status);
    expect(desk.ran).toEqual([]);
  });

  test("plans: what is due now and later, the soonest first", async () => {
    const desk = deskOf(NOW, Date.parse("2026-01-01T00:00:00Z"));
    expect((await planLifecycle(desk, { bucket: "photos" })).body).toEqual({
      bucket: "photos",
      examined: 2,
      due_now: 1,
      later: 1,
      actions: [
        {
          due: "2026-01-02T00:00:00.000Z",
          action: "expire",
          key: "key-1",
          version: "v1",
          rule: "old logs",
        },
        {
          due: "2026-01-17T00:00:00.000Z",
          action: "expire",
          key: "key-0",
          version: "v0",
          rule: "old logs",
        },
      ],
    });
  });

  test("tells no more than it was asked for, and counts all the same", async () => {
    const desk = deskOf(NOW, NOW - 1, NOW - 20 * 86_400_000);
    const { body } = await planLifecycle(desk, { bucket: "photos", limit: 1 });
    expect(body).toMatchObject({ due_now: 1, later: 2, actions: [{ key: "key-2" }] });
    expect((await planLifecycle(desk, { bucket: "photos", limit: -1 })).status).toBe(400);
  });
});
