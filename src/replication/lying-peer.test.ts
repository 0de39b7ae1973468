import { afterEach, expect, test } from "vitest";
import { putOf, signedHeadOf } from "../../test/support/memory-replica.ts";
import { openTwins, type TwinAnswer, type TwinSite } from "../../test/support/replication-twins.ts";
import { LIMITS } from "../core/limits.ts";
import type { LogEntry } from "../storage/replica.ts";
import { decodePage, encodePage } from "./page-frame.ts";
import {
  type PageHead,
  parsePageHead,
  parsePullRequest,
  seqsOfKnown,
  writePageHead,
} from "./wire-pages.ts";

let stop: () => Promise<void> = () => Promise.resolve();
afterEach(() => stop());

type Page = { readonly head: PageHead; readonly entries: readonly LogEntry[] };

/** Berlin has three operations; whatever it answers to a pull passes through `spoil`. */
async function openLiar(spoil: (page: Page, berlin: TwinSite) => Page | Buffer) {
  const twins = await openTwins(["berlin", "paris"]);
  stop = twins.stop;
  const berlin = twins.site("berlin");
  for (const key of ["a", "b", "c"]) {
    berlin.replica.write(putOf(key, Buffer.from(key)), Buffer.from(key));
  }
  twins.world.meddle = async (to, request, deliver): Promise<TwinAnswer> => {
    const answer = await deliver();
    if (to !== "berlin" || request.path !== "/v1/repl/pull") return answer;
    const { head, entries } = decodePage(answer.body);
    const said = parsePullRequest(request.body ?? Buffer.of());
    if (said.outcome === "bad") throw new Error(said.problem);
    const asked = seqsOfKnown(said.value.received);
    const parsed = parsePageHead(head, asked);
    if (parsed.outcome === "bad") throw new Error(parsed.problem);
    const spoilt = spoil({ head: parsed.value, entries }, berlin);
    if (Buffer.isBuffer(spoilt)) return { status: 200, body: spoilt };
    return {
      status: 200,
      body: encodePage({ head: writePageHead(spoilt.head, asked), entries: spoilt.entries }, true),
    };
  };
  twins.start();
  await twins.clock.advance(2000);
  return { ...twins, berlin, paris: twins.site("paris") };
}

function flip(entry: LogEntry | undefined, at: number): LogEntry {
  const encoded = Buffer.from(entry?.encoded ?? []);
  encoded[at] = (encoded[at] ?? 0) ^ 1;
  return { encoded, inline: entry?.inline };
}

const LIES: ReadonlyArray<readonly [string, Parameters<typeof openLiar>[0]]> = [
  ["without a signed head", ({ head, entries }) => ({ head: { ...head, heads: [] }, entries })],
  [
    "with one operation changed",
    ({ head, entries }) => ({ head, entries: entries.with(1, flip(entries[1], 70)) }),
  ],
  [
    "with the last operation changed",
    ({ head, entries }) => ({ head, entries: entries.with(2, flip(entries[2], 70)) }),
  ],
  [
    "with one operation left out",
    ({ head, entries }) => ({ head, entries: entries.toSpliced(1, 1) }),
  ],
  [
    "with the first operation left out",
    ({ head, entries }) => ({ head, entries: entries.slice(1) }),
  ],
  [
    "that ends before its signed head",
    ({ head, entries }) => ({ head, entries: entries.slice(0, 2) }),
  ],
  [
    "with a signature of nobody",
    ({ head, entries }) => ({
      entries,
      head: { ...head, heads: head.heads.map((one) => ({ ...one, signature: Buffer.alloc(64) })) },
    }),
  ],
  [
    "signed by another site than the origin's",
    ({ head, entries }, { owner }) => {
      const rome = { ...owner, siteId: "2".repeat(16) as typeof owner.siteId };
      return {
        entries,
        head: { ...head, heads: head.heads.map((one) => signedHeadOf(rome, one)) },
      };
    },
  ],
  ["that is no page", () => Buffer.from("not a page at all")],
  [
    "whose head is no head",
    ({ entries }) => encodePage({ head: Buffer.from('{"outcome":"page"}'), entries }, false),
  ],
];

test.each(LIES)(
  "of a page %s nothing is taken, and the peer is suspended",
  async (_what, spoil) => {
    const { paris, berlin, clock } = await openLiar(spoil);
    expect(paris.replica.entries).toEqual([]);
    const facts = paris.watch.facts(berlin.member.id);
    expect(facts.link).toBe("suspended");
    expect(facts.lastError?.message).toBeTruthy();
    expect(paris.log.lines.filter(({ level }) => level === "warn").length).toBe(1);
    const asked = () => paris.asked.filter(({ path }) => path === "/v1/repl/pull").length;
    const before = asked();
    await clock.advance(10 * 60_000);
    expect(asked() - before).toBeLessThan(5);
    expect(paris.log.lines.filter(({ level }) => level === "warn").length).toBe(1);
  },
);

test("what went wrong with a peer is over when it answers well again, and not before", async () => {
  let lies = true;
  const { paris, berlin, clock } = await openLiar((page) => (lies ? Buffer.from("no page") : page));
  const trouble = () => paris.watch.facts(berlin.member.id).lastError;
  expect(trouble()).toMatchObject({ overMs: undefined });
  const wrongMs = trouble()?.atMs ?? Number.NaN;
  lies = false;
  await clock.advance(5 * 60_000);
  expect(paris.watch.facts(berlin.member.id).link).toBe("connected");
  expect(trouble()?.atMs).toBe(wrongMs);
  expect(trouble()?.overMs).toBeGreaterThan(wrongMs);
});

/** Paris hears of what berlin writes from rome alone, which alters the bodies. */
async function openAlteringRelay(alter: (entry: LogEntry) => LogEntry, key = "a") {
  const twins = await openTwins(["berlin", "paris", "rome"]);
  stop = twins.stop;
  twins.cut("berlin", "paris");
  twins.world.meddle = async (to, request, deliver): Promise<TwinAnswer> => {
    const answer = await deliver();
    if (to !== "rome" || request.path !== "/v1/repl/pull") return answer;
    const { head, entries } = decodePage(answer.body);
    return { status: 200, body: encodePage({ head, entries: entries.map(alter) }, true) };
  };
  const [berlin, paris, rome] = [twins.site("berlin"), twins.site("paris"), twins.site("rome")];
  berlin.replica.write(putOf(key, Buffer.from("as it was")), Buffer.from("as it was"));
  twins.start();
  await twins.clock.advance(30_000);
  return { ...twins, berlin, paris, rome };
}

test("a body that a relay has altered is refused, and comes from who wrote it", async () => {
  const other = Buffer.from("as it is!");
  const sites = await openAlteringRelay(({ encoded }) => ({ encoded, inline: other }));
  const { paris, rome, berlin, clock } = sites;
  expect(rome.replica.entries.length).toBe(1);
  expect(paris.replica.entries).toEqual([]);
  const facts = paris.watch.facts(rome.member.id);
  expect(facts.link).toBe("suspended");
  expect(facts.lastError?.message).toContain("the body of operation 1");
  sites.mend("berlin", "paris");
  await clock.advance(60_000);
  expect(paris.watch.facts(berlin.member.id).link).toBe("connected");
  expect(paris.replica.entries.map(({ inline }) => inline?.toString())).toEqual(["as it was"]);
});

test("a relay may leave a body out, and gives no other one for it afterwards", async () => {
  const { paris, rome, clock, world } = await openAlteringRelay(({ encoded }) => {
    return { encoded, inline: undefined };
  });
  expect(paris.replica.parked().map(({ reason }) => reason)).toEqual([
    "the peer had it without its body",
  ]);
  world.meddle = async (to, request, deliver): Promise<TwinAnswer> => {
    const answer = await deliver();
    if (to !== "rome" || request.path !== "/v1/repl/pull") return answer;
    const { head, entries } = decodePage(answer.body);
    const other = entries.map(({ encoded }) => ({ encoded, inline: Buffer.from("as it is!") }));
    return { status: 200, body: encodePage({ head, entries: other }, true) };
  };
  await clock.advance(10 * 60_000);
  expect(paris.replica.parked().length).toBe(1);
  expect(paris.watch.facts(rome.member.id).link).toBe("suspended");
  world.meddle = undefined;
  await clock.advance(30 * 60_000);
  expect(paris.replica.parked()).toEqual([]);
});

test("a peer that tells the truth again is believed again", async () => {
  let lies = true;
  const { paris, clock } = await openLiar(({ head, entries }) =>
    lies ? { head: { ...head, heads: [] }, entries } : { head, entries },
  );
  lies = false;
  await clock.advance(61_000);
  expect(paris.replica.entries.length).toBe(3);
  expect(paris.watch.facts(paris.member.id).link).toBe("connecting");
});

test("a peer that gives other bytes for a chunk is found out, and another one is asked", async () => {
  const twins = await openTwins(["berlin", "paris", "rome"]);
  stop = twins.stop;
  const [berlin, paris, rome] = ["berlin", "paris", "rome"].map(twins.site);
  if (berlin === undefined || paris === undefined || rome === undefined) throw new Error("sites");
  const body = Buffer.alloc(LIMITS.inlineBodyBytesMax + 1, 6);
  berlin.replica.writeLarge("large", [body]);
  rome.replica.writeLarge("the same elsewhere", [body]);
  twins.world.meddle = async (to, request, deliver) => {
    const answer = await deliver();
    if (to !== "berlin" || !request.path.startsWith("/v1/repl/chunk")) return answer;
    return { status: 200, body: Buffer.alloc(answer.body.length, 5) };
  };
  twins.cut("paris", "rome");
  twins.start();
  await twins.clock.advance(500);
  expect(paris.replica.chunks.size).toBe(0);
  expect(paris.replication.counts.lies).toBeGreaterThan(0);
  expect(paris.watch.facts(berlin.member.id).link).toBe("suspended");
  twins.mend("paris", "rome");
  await twins.clock.advance(60_000);
  expect([...paris.replica.chunks.values()].map((bytes) => bytes.equals(body))).toEqual([true]);
  expect(paris.replica.parked()).toEqual([]);
});

test.each([
  ["went on otherwise", true],
  ["has not written since", false],
])(
  "a site that was set back and %s is refused on both sides, and others go on",
  async (_how, writes) => {
    const twins = await openTwins(["berlin", "paris", "rome"]);
    stop = twins.stop;
    const [berlin, paris, rome] = [twins.site("berlin"), twins.site("paris"), twins.site("rome")];
    const write = (site: TwinSite, key: string) =>
      site.replica.write(putOf(key, Buffer.from(key)), Buffer.from(key));
    write(berlin, "a");
    write(berlin, "b");
    twins.start();
    await twins.clock.advance(1000);
    berlin.replica.setBack(1);
    if (writes) write(berlin, "c");
    await twins.clock.advance(60_000);
    write(rome, "d");
    await twins.clock.advance(60_000);
    expect(paris.replica.entries.map(({ inline }) => inline?.toString())).toEqual(["a", "b", "d"]);
    expect(berlin.replica.entries.map(({ inline }) => inline?.toString())).toContain("d");
    for (const [one, other] of [
      [paris, berlin],
      [berlin, paris],
    ] as const) {
      const facts = one.watch.facts(other.member.id);
      expect(facts.link).toBe("suspended");
      expect(facts.lastError?.message).toContain("another history");
      expect(facts.lastError?.overMs).toBeUndefined();
    }
  },
);

test("operations from too far in the future are held back until then, and nothing else is", async () => {
  const twins = await openTwins(["berlin", "paris"]);
  stop = twins.stop;
  const [berlin, paris] = [twins.site("berlin"), twins.site("paris")];
  const ahead = twins.clock.nowMs() + 60_000;
  berlin.replica.write(putOf("a", Buffer.from("a")), Buffer.from("a"), ahead);
  twins.start();
  await twins.clock.advance(10_000);
  expect(paris.replica.entries).toEqual([]);
  expect(paris.watch.facts(berlin.member.id).link).toBe("connected");
  expect(paris.asked.length).toBeLessThan(20);
  await twins.clock.advance(46_000);
  expect(paris.replica.entries.length).toBe(1);
});
