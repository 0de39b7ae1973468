import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import {
  type DueAction,
  dueAbort,
  dueAction,
  dueAfterDays,
  type LifecycleRule,
  type LifecycleSubject,
  prefixesOf,
} from "./lifecycle.ts";

const DAY_MS = 86_400_000;
const ms = (text: string): number => Date.parse(text);

function rule(change: Partial<Omit<LifecycleRule, "filter">> & Partial<LifecycleRule["filter"]>) {
  const { prefix, tags = [], sizeGreaterThan, sizeLessThan, ...rest } = change;
  const made: LifecycleRule = {
    id: "rule",
    enabled: true,
    form: "filter",
    filter: { prefix, tags, sizeGreaterThan, sizeLessThan },
    expiration: undefined,
    noncurrent: undefined,
    abortUploadDays: undefined,
    ...rest,
  };
  return made;
}

function object(change: {
  key?: string;
  size?: number;
  tags?: ReadonlyArray<readonly [string, string]>;
  standing?: LifecycleSubject["standing"];
}): LifecycleSubject {
  const { key = "a", size = 1, tags = [], standing } = change;
  return {
    key,
    version: { kind: "object", size, tags },
    standing: standing ?? { kind: "current", madeMs: ms("2026-01-15T10:30:00Z"), alone: true },
  };
}

const days = (count: number) => ({ kind: "days", days: count }) as const;

describe("days", () => {
  test.each([
    // The example of AWS's documentation.
    ["2014-01-15T10:30:00Z", 3, "2014-01-19T00:00:00Z"],
    ["2014-01-15T00:00:00Z", 1, "2014-01-16T00:00:00Z"],
    ["2014-01-15T00:00:00.001Z", 1, "2014-01-17T00:00:00Z"],
    ["2024-02-28T23:59:59.999Z", 1, "2024-03-01T00:00:00Z"],
  ])("after %s, %i of them end at the midnight %s", (from, count, until) => {
    expect(dueAfterDays(ms(from), count)).toBe(ms(until));
  });
});

describe("a current version", () => {
  test("expires so many days after it was made", () => {
    expect(dueAction([rule({ expiration: days(2) })], object({}))).toEqual({
      action: "expire",
      dueMs: ms("2026-01-18T00:00:00Z"),
      ruleId: "rule",
    });
  });

  test("expires on the date, however young it is", () => {
    const dateMs = ms("2020-01-01T00:00:00Z");
    expect(dueAction([rule({ expiration: { kind: "date", dateMs } })], object({}))).toMatchObject({
      action: "expire",
      dueMs: dateMs,
    });
  });

  test("follows the rule that is due first, whichever stands first", () => {
    const rules = [
      rule({ id: "late", expiration: days(9) }),
      rule({ id: "early", expiration: days(2) }),
      rule({ id: "as early", expiration: days(2) }),
    ];
    expect(dueAction(rules, object({}))?.ruleId).toBe("early");
  });

  test.each([
    ["another prefix", { prefix: "b" }],
    ["a tag it lacks", { tags: [["k", "v"]] as const }],
    ["a tag with another value", { tags: [["stage", "raw"]] as const }],
    [
      "one tag it has and one it lacks",
      {
        tags: [
          ["stage", "done"],
          ["k", "v"],
        ] as const,
      },
    ],
    ["a size above its own", { sizeGreaterThan: 100 }],
    ["a size below its own", { sizeLessThan: 100 }],
    ["a state that is off", { enabled: false }],
  ])("is left alone by a rule with %s", (_what, change) => {
    const subject = object({ size: 100, tags: [["stage", "done"]] });
    expect(dueAction([rule({ expiration: days(1), ...change })], subject)).toBeUndefined();
  });

  test("is found by prefix, all tags and both sizes together", () => {
    const subject = object({
      key: "logs/a",
      size: 100,
      tags: [
        ["a", "1"],
        ["b", "2"],
      ],
    });
    const filter = {
      prefix: "logs/",
      tags: [
        ["b", "2"],
        ["a", "1"],
      ] as const,
    };
    const sizes = { sizeGreaterThan: 99, sizeLessThan: 101 };
    const found = dueAction([rule({ expiration: days(1), ...filter, ...sizes })], subject);
    expect(found?.action).toBe("expire");
  });

  test("is no concern of rules about noncurrent versions and uploads", () => {
    const rules = [rule({ noncurrent: { days: 1, keep: undefined }, abortUploadDays: 1 })];
    expect(dueAction(rules, object({}))).toBeUndefined();
  });
});

describe("a noncurrent version", () => {
  const since = ms("2026-01-15T10:30:00Z");
  const noncurrent = (newer: number): LifecycleSubject =>
    object({ standing: { kind: "noncurrent", sinceMs: since, newer } });

  test("is removed so many days after it was succeeded", () => {
    const rules = [rule({ noncurrent: { days: 1, keep: undefined } })];
    expect(dueAction(rules, noncurrent(0))).toEqual({
      action: "remove",
      dueMs: ms("2026-01-17T00:00:00Z"),
      ruleId: "rule",
    });
  });

  test("stays while it is among the newest ones that are kept", () => {
    const rules = [rule({ noncurrent: { days: 1, keep: 2 } })];
    expect(dueAction(rules, noncurrent(1))).toBeUndefined();
    expect(dueAction(rules, noncurrent(2))?.action).toBe("remove");
  });

  test("is removed when it is a delete marker, unless the rule asks for tags or sizes", () => {
    const marker = { ...noncurrent(0), version: { kind: "delete-marker" } as const };
    const wish = { noncurrent: { days: 1, keep: undefined } };
    expect(dueAction([rule(wish)], marker)?.action).toBe("remove");
    expect(dueAction([rule({ ...wish, tags: [["a", "b"]] })], marker)).toBeUndefined();
    expect(dueAction([rule({ ...wish, sizeLessThan: 10 })], marker)).toBeUndefined();
  });

  test("is no concern of rules that expire current ones", () => {
    expect(dueAction([rule({ expiration: days(1) })], noncurrent(0))).toBeUndefined();
  });
});

describe("a delete marker that is current", () => {
  const madeMs = ms("2026-01-15T10:30:00Z");
  const marker = (alone: boolean): LifecycleSubject => ({
    key: "a",
    version: { kind: "delete-marker" },
    standing: { kind: "current", madeMs, alone },
  });
  const markers = (remove: boolean) => rule({ expiration: { kind: "markers", remove } });

  test("is removed at once when nothing is behind it and the rule says so", () => {
    expect(dueAction([markers(true)], marker(true))).toMatchObject({
      action: "remove",
      dueMs: madeMs,
    });
    expect(dueAction([markers(false)], marker(true))).toBeUndefined();
  });

  test("is removed with nothing behind it once it is as old as versions that expire", () => {
    expect(dueAction([rule({ expiration: days(1) })], marker(true))).toMatchObject({
      action: "remove",
      dueMs: ms("2026-01-17T00:00:00Z"),
    });
  });

  test("stays while it hides something", () => {
    const rules = [markers(true), rule({ expiration: days(1) })];
    expect(dueAction(rules, marker(false))).toBeUndefined();
  });
});

describe("an upload in progress", () => {
  test("is aborted so many days after it began, by the rule due first", () => {
    const rules = [
      rule({ id: "late", abortUploadDays: 7 }),
      rule({ id: "soon", abortUploadDays: 1, prefix: "tmp/" }),
      rule({ id: "off", abortUploadDays: 1, enabled: false }),
    ];
    const createdMs = ms("2026-01-15T10:30:00Z");
    expect(dueAbort(rules, { key: "tmp/a", createdMs })?.ruleId).toBe("soon");
    expect(dueAbort(rules, { key: "a", createdMs })).toEqual({
      dueMs: ms("2026-01-23T00:00:00Z"),
      ruleId: "late",
    });
    expect(dueAbort([rule({ expiration: days(1) })], { key: "a", createdMs })).toBeUndefined();
  });
});

const tag = fc.tuple(fc.constantFrom("a", "b"), fc.constantFrom("1", "2"));
const anyRule: fc.Arbitrary<LifecycleRule> = fc.record({
  id: fc.string({ maxLength: 4 }),
  enabled: fc.boolean(),
  form: fc.constant("filter" as const),
  filter: fc.record({
    prefix: fc.constantFrom(undefined, "", "a", "ab", "b"),
    tags: fc.uniqueArray(tag, { maxLength: 2, selector: ([name]) => name }),
    sizeGreaterThan: fc.constantFrom(undefined, 0, 5),
    sizeLessThan: fc.constantFrom(undefined, 5, 10),
  }),
  expiration: fc.oneof(
    fc.constant(undefined),
    fc.record({ kind: fc.constant("days" as const), days: fc.integer({ min: 1, max: 9 }) }),
    fc.record({
      kind: fc.constant("date" as const),
      dateMs: fc.integer({ min: 0, max: 30_000 }).map((day) => day * DAY_MS),
    }),
    fc.record({ kind: fc.constant("markers" as const), remove: fc.boolean() }),
  ),
  noncurrent: fc.option(
    fc.record({
      days: fc.integer({ min: 1, max: 9 }),
      keep: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined }),
    }),
    { nil: undefined },
  ),
  abortUploadDays: fc.constant(undefined),
});
const moment = fc.integer({ min: 0, max: 30_000 * DAY_MS });
const anySubject: fc.Arbitrary<LifecycleSubject> = fc.record({
  key: fc.constantFrom("a", "abc", "b", "c"),
  version: fc.oneof(
    fc.record({
      kind: fc.constant("object" as const),
      size: fc.integer({ min: 0, max: 12 }),
      tags: fc.array(tag, { maxLength: 3 }),
    }),
    fc.constant({ kind: "delete-marker" as const }),
  ),
  standing: fc.oneof(
    fc.record({ kind: fc.constant("current" as const), madeMs: moment, alone: fc.boolean() }),
    fc.record({
      kind: fc.constant("noncurrent" as const),
      sinceMs: moment,
      newer: fc.integer({ min: 0, max: 5 }),
    }),
  ),
});
const dueMsOf = (due: DueAction | undefined): number => due?.dueMs ?? Number.POSITIVE_INFINITY;

describe("whatever the rules are", () => {
  const rules = fc.array(anyRule, { maxLength: 5 });

  test("their order decides nothing but whose name is given", () => {
    fc.assert(
      fc.property(rules, anySubject, (list, subject) => {
        const forwards = dueAction(list, subject);
        const backwards = dueAction(list.toReversed(), subject);
        expect(backwards?.dueMs).toBe(forwards?.dueMs);
        expect(backwards?.action).toBe(forwards?.action);
      }),
    );
  });

  test("together they are due when the first of them alone is", () => {
    fc.assert(
      fc.property(rules, anySubject, (list, subject) => {
        const alone = list.map((one) => dueMsOf(dueAction([one], subject)));
        expect(dueMsOf(dueAction(list, subject))).toBe(Math.min(...alone));
      }),
    );
  });

  test("days never end before they have passed, nor a day and a night later", () => {
    fc.assert(
      fc.property(anyRule, anySubject, (one, subject) => {
        const due = dueAction([one], subject);
        if (due === undefined || one.expiration?.kind === "date") return;
        const { standing } = subject;
        const from = standing.kind === "current" ? standing.madeMs : standing.sinceMs;
        const wanted =
          standing.kind === "noncurrent"
            ? one.noncurrent?.days
            : one.expiration?.kind === "days"
              ? one.expiration.days
              : 0;
        expect(due.dueMs - from).toBeGreaterThanOrEqual((wanted ?? 0) * DAY_MS);
        expect(due.dueMs - from).toBeLessThan(((wanted ?? 0) + 1) * DAY_MS);
      }),
    );
  });

  test("only a current object expires, and everything else is removed", () => {
    fc.assert(
      fc.property(rules, anySubject, (list, subject) => {
        const due = dueAction(list, subject);
        if (due === undefined) return;
        const isCurrentObject =
          subject.standing.kind === "current" && subject.version.kind === "object";
        expect(due.action).toBe(isCurrentObject ? "expire" : "remove");
      }),
    );
  });

  test("what is due lies under one of the prefixes that are walked, and no two overlap", () => {
    fc.assert(
      fc.property(rules, anySubject, (list, subject) => {
        const prefixes = prefixesOf(list);
        if (dueAction(list, subject) !== undefined) {
          expect(prefixes.some((prefix) => subject.key.startsWith(prefix))).toBe(true);
        }
        for (const [at, prefix] of prefixes.entries()) {
          const others = prefixes.filter((_, index) => index !== at);
          expect(others.some((other) => prefix.startsWith(other))).toBe(false);
        }
      }),
    );
  });
});
