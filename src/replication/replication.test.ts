import { afterEach, expect, test } from "vitest";
import { putOf } from "../../test/support/memory-replica.ts";
import { appliedSeqs, openTwins, writeSmall } from "../../test/support/replication-twins.ts";
import { LIMITS } from "../core/limits.ts";
import { parseContentHash, parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { decodePage, encodePage } from "./page-frame.ts";

let stop: () => Promise<void> = () => Promise.resolve();
afterEach(() => stop());

async function openSites(names: readonly string[], bytesPerSecond?: number) {
  const twins = await openTwins(names, bytesPerSecond);
  stop = twins.stop;
  return twins;
}

test("what one site writes is at the other in the same moment, both ways", async () => {
  const { clock, site, start } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  start();
  await clock.advance(1000);
  writeSmall(berlin, "a");
  writeSmall(paris, "b");
  await clock.advance(1);
  expect(appliedSeqs(berlin)).toEqual([1, 1]);
  expect(appliedSeqs(paris)).toEqual([1, 1]);
  expect(paris.replica.entries.map(({ inline }) => inline?.toString())).toContain("a");
  await clock.advance(1);
  expect(berlin.watch.facts(paris.member.id)).toMatchObject({
    ...{ link: "connected", applied: paris.replica.applied(), skewMs: 0 },
  });
});

test("what was written while the line was cut comes when it is mended, once", async () => {
  const { clock, site, start, cut, mend } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  cut("berlin", "paris");
  start();
  for (let count = 0; count < 100; count++) writeSmall(berlin, `key-${count}`);
  await clock.advance(60_000);
  expect(paris.watch.facts(berlin.member.id).link).toBe("unreachable");
  expect(paris.asked.length).toBeLessThan(60);
  expect(paris.log.lines.filter(({ level }) => level === "warn").length).toBe(1);
  mend("berlin", "paris");
  await clock.advance(31_000);
  expect(appliedSeqs(paris)).toEqual([100]);
  expect(paris.replica.entries.length).toBe(100);
  expect(berlin.replica.acknowledged.get(paris.member.id)).toEqual(paris.replica.applied());
});

test("a site between two others relays what they write, signatures and all", async () => {
  const { clock, site, start, cut } = await openSites(["berlin", "paris", "rome"]);
  cut("berlin", "rome");
  start();
  writeSmall(site("berlin"), "from berlin");
  writeSmall(site("rome"), "from rome");
  await clock.advance(10_000);
  for (const name of ["berlin", "paris", "rome"]) expect(appliedSeqs(site(name))).toEqual([1, 1]);
});

test("three sites that see each other take each operation once, from who wrote it", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris", "rome"]);
  const handedOver = { berlin: 0, paris: 0, rome: 0 };
  world.meddle = async (to, request, deliver) => {
    const answer = await deliver();
    if (request.path !== "/v1/repl/pull") return answer;
    handedOver[to as keyof typeof handedOver] += decodePage(answer.body).entries.length;
    return answer;
  };
  start();
  await clock.advance(2000);
  for (let count = 0; count < 20; count++) {
    writeSmall(site("berlin"), `key-${count}`);
    await clock.advance(100);
  }
  await clock.advance(1000);
  for (const name of ["paris", "rome"]) {
    expect(appliedSeqs(site(name))).toEqual([20]);
    expect(site(name).replication.counts.operationsTaken).toBe(20);
  }
  expect(handedOver).toEqual({ berlin: 40, paris: 0, rome: 0 });
});

test("bodies of some size come with their operation, and chunks that are here stay at home", async () => {
  const { clock, site, start } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  const whole = Buffer.alloc(LIMITS.chunkBytes, 1);
  berlin.replica.writeLarge("one", [whole, Buffer.from("end")]);
  start();
  await clock.advance(1000);
  expect(appliedSeqs(paris)).toEqual([1]);
  expect(paris.replication.counts.chunkBytesTaken).toBe(LIMITS.chunkBytes + 3);

  berlin.replica.writeLarge("two", [whole, Buffer.from("other end")]);
  await clock.advance(1000);
  expect(appliedSeqs(paris)).toEqual([2]);
  expect(paris.replication.counts.chunkBytesTaken).toBe(LIMITS.chunkBytes + 12);
  const before = paris.replication.counts.chunkBytesTaken;
  berlin.replica.writeLarge("two again", [whole, Buffer.from("other end")]);
  await clock.advance(1000);
  expect(paris.replication.counts.chunkBytesTaken).toBe(before);
  expect(berlin.replica.leased.length).toBeGreaterThan(0);
  await clock.advance(LIMITS.replicationLeaseMs);
  expect(berlin.replica.leased).toEqual([]);
});

test("small operations do not wait behind a large object: it is parked and fetched beside", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  const open: Array<() => void> = [];
  world.meddle = async (_to, request, deliver) => {
    if (request.path.startsWith("/v1/repl/chunk")) {
      await new Promise<void>((resolve) => open.push(resolve));
    }
    return deliver();
  };
  const pieces = [1, 2, 3].map((byte) => Buffer.alloc(LIMITS.chunkBytes, byte));
  berlin.replica.writeLarge("large", pieces);
  writeSmall(berlin, "small");
  start();
  await clock.advance(1000);
  expect(paris.replica.received().get(berlin.owner.origin)?.seq).toBe(2);
  expect(paris.replica.parked().map(({ dot, reason }) => [dot.seq, reason])).toEqual([
    [1, "its bytes have not come yet"],
  ]);
  expect(appliedSeqs(paris)).toEqual([0]);
  world.meddle = undefined;
  for (const release of open) release();
  await clock.advance(1000);
  expect(appliedSeqs(paris)).toEqual([2]);
  expect(paris.replica.parked()).toEqual([]);
});

test("a chunk that breaks off is resumed where it broke, in smaller pieces", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris"]);
  const offsets: string[] = [];
  world.meddle = async (_to, request, deliver) => {
    if (!request.path.startsWith("/v1/repl/chunk")) return deliver();
    const query = new URLSearchParams(request.path.split("?")[1]);
    offsets.push(`${query.get("offset")}+${query.get("bytes")}`);
    if (offsets.length === 1 || offsets.length === 3) throw new Error("ECONNRESET");
    return deliver();
  };
  site("berlin").replica.writeLarge("large", [Buffer.alloc(600_000, 5)]);
  start();
  await clock.advance(1000);
  expect(appliedSeqs(site("paris"))).toEqual([1]);
  expect(offsets).toEqual([
    ...["0+600000", "0+262144", "262144+262144", "262144+262144", "524288+75712"],
  ]);
});

test("bytes that nobody has park their operation; they come when somebody has them", async () => {
  const { clock, site, start } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  const body = Buffer.alloc(200_000, 9);
  berlin.replica.writeLarge("lost", [body]);
  const [[hash, bytes] = []] = [...berlin.replica.chunks];
  berlin.replica.chunks.clear();
  writeSmall(berlin, "later");
  start();
  await clock.advance(10_000);
  expect(paris.replica.parked().map(({ reason }) => reason)).toEqual(["no peer has its bytes"]);
  expect(paris.replica.received().get(berlin.owner.origin)?.seq).toBe(2);
  if (hash !== undefined && bytes !== undefined) berlin.replica.chunks.set(hash, bytes);
  await clock.advance(5 * 60_000);
  expect(paris.replica.parked()).toEqual([]);
  expect(appliedSeqs(paris)).toEqual([2]);
});

test("bytes that are gone because a later write took their place are not waited for", async () => {
  const { clock, site, start } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  const { origin, seq } = berlin.replica.writeLarge("replaced", [Buffer.alloc(200_000, 9)]);
  berlin.replica.chunks.clear();
  writeSmall(berlin, "replaced");
  paris.replica.gone.add(`${origin} ${seq}`);
  start();
  await clock.advance(10_000);
  expect(paris.replica.parked()).toEqual([]);
  expect(appliedSeqs(paris)).toEqual([2]);
});

test("a body that a relay lacks comes from who has it", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  let pulls = 0;
  world.meddle = async (to, request, deliver) => {
    const answer = await deliver();
    if (request.path !== "/v1/repl/pull" || to !== "berlin") return answer;
    const page = decodePage(answer.body);
    if (page.entries.length === 0) return answer;
    pulls += 1;
    if (pulls > 1) return answer;
    const entries = page.entries.map(({ encoded }) => ({ encoded, inline: undefined }));
    return { status: 200, body: encodePage({ head: page.head, entries }, false) };
  };
  writeSmall(berlin, "a");
  start();
  await clock.advance(10_000);
  expect(paris.replica.parked()).toEqual([]);
  expect(appliedSeqs(paris)).toEqual([1]);
});

test("a pull by hand ends when nothing is missing, and tells why when something is", async () => {
  const { clock, site, start, cut } = await openSites(["berlin", "paris", "rome"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  cut("paris", "rome");
  cut("berlin", "rome");
  start();
  for (let count = 0; count < 500; count++) writeSmall(berlin, `key-${count}`, "x".repeat(20_000));
  const pulling = paris.replication.pullNow();
  await clock.advance(100);
  const reports = await pulling;
  const told = reports.map(({ peer, operations, problem }) => [peer.name, operations, problem]);
  expect(told).toEqual([
    ["berlin", expect.any(Number), undefined],
    ["rome", 0, "ECONNREFUSED"],
  ]);
  expect(appliedSeqs(paris)).toEqual([500]);

  writeSmall(paris, "news");
  const pushing = paris.replication.push(5000);
  await clock.advance(6000);
  expect(
    (await pushing).map(({ peer, operationsBehind }) => [peer.name, operationsBehind]),
  ).toEqual([
    ["berlin", 0],
    ["rome", 501],
  ]);
});

test("a push waits no longer than it was told to for a peer that does not answer", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris"]);
  start();
  await clock.advance(1000);
  world.meddle = () => new Promise(() => undefined);
  writeSmall(site("berlin"), "news");
  const told: unknown[] = [];
  void site("berlin")
    .replication.push(3000)
    .then((reports) => told.push(...reports));
  await clock.advance(3100);
  expect(told).toMatchObject([{ operationsBehind: 1 }]);
});

test("no more than the bandwidth that was set is taken from a peer", async () => {
  const { clock, site, start } = await openSites(["berlin", "paris"], 100_000);
  for (let count = 0; count < 200; count++) {
    const body = Buffer.alloc(10_000, `${count * count}${count}`);
    site("berlin").replica.write(putOf(`key-${count}`, body), body);
  }
  site("berlin").replica.writeLarge("large", [Buffer.alloc(1_000_000, 7)]);
  start();
  await clock.advance(5000);
  const { pageBytesTaken, chunkBytesTaken } = site("paris").replication.counts;
  expect(pageBytesTaken + chunkBytesTaken).toBeLessThan(700_000);
  await clock.advance(60_000);
  expect(appliedSeqs(site("paris"))).toEqual([201]);
});

test("a site without peers does nothing at all, and one that stops leaves no timer", async () => {
  const { clock, site, start, members } = await openSites(["berlin", "paris"]);
  const [paris] = members.splice(1, 1);
  start();
  await clock.advance(1000);
  expect(site("berlin").asked).toEqual([]);
  if (paris !== undefined) members.push(paris);
  writeSmall(site("berlin"), "a");
  await clock.advance(1000);
  expect(site("berlin").asked.length).toBeGreaterThan(0);
  await stop();
  expect(clock.pendingTimers).toBe(0);
});

test("a peer whose log begins too late is told of, asked seldom, and what it has later comes", async () => {
  const { clock, site, start } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  writeSmall(berlin, "a");
  const { readLog } = berlin.replica;
  berlin.replica.readLog = async () => ({
    outcome: "below-floor",
    origins: [berlin.owner.origin],
  });
  start();
  await clock.advance(60_000);
  expect(paris.watch.facts(berlin.member.id).link).toBe("needs-bootstrap");
  expect(paris.floors[0]).toEqual(["berlin", [berlin.owner.origin]]);
  expect(paris.asked.filter(({ path }) => path === "/v1/repl/pull").length).toBeLessThan(10);
  const [report] = await Promise.all([paris.replication.pullNow(), clock.advance(100)]);
  expect(report.map(({ problem }) => problem)).toEqual([
    "the peer's log begins too late: rows are needed",
  ]);
  berlin.replica.readLog = readLog;
  await clock.advance(20_000);
  expect(appliedSeqs(paris)).toEqual([1]);
  expect(paris.watch.facts(berlin.member.id).link).toBe("connected");
});

test("bytes of a parked operation are fetched by the next process as well", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  world.meddle = async (_to, request, deliver) => {
    if (request.path.startsWith("/v1/repl/chunk")) throw new Error("ECONNRESET");
    return deliver();
  };
  berlin.replica.writeLarge(
    "large",
    [1, 2, 3].map((byte) => Buffer.alloc(LIMITS.chunkBytes, byte)),
  );
  start();
  await clock.advance(1000);
  expect(paris.replica.parked().length).toBe(1);
  await paris.replication.stop();
  world.meddle = undefined;
  const again = await openTwins(["berlin", "paris"]);
  const parked = again.site("paris").replica;
  await parked.ingest(
    paris.replica.entries.map((entry) => ({
      ...entry,
      state: { kind: "parked", reason: "before" },
    })),
    [],
  );
  for (const [hash, bytes] of berlin.replica.chunks)
    again.site("berlin").replica.chunks.set(hash, bytes);
  for (const [hash, chunks] of berlin.replica.manifests) {
    again.site("berlin").replica.manifests.set(hash, chunks);
  }
  again.start();
  await again.clock.advance(10_000);
  expect(parked.parked()).toEqual([]);
  await again.stop();
});

test("a peer that says at once that it has nothing is not asked in a circle", async () => {
  const { clock, site, start, world } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  start();
  writeSmall(berlin, "a");
  await clock.advance(1000);
  world.meddle = async (to, request, deliver) => {
    if (to !== "berlin" || request.path !== "/v1/repl/pull") return deliver();
    const body = { ...JSON.parse(String(request.body)), waitMs: 0 };
    return berlin.replication.routes[0]?.answer({
      ...{ peer: { ...paris.member }, body: Buffer.from(JSON.stringify(body)) },
      ...{ query: new Map(), signal: request.signal },
    }) as ReturnType<typeof deliver>;
  };
  const before = paris.asked.length;
  await clock.advance(120_000);
  expect(paris.asked.length - before).toBeLessThan(60);
  writeSmall(berlin, "b");
  world.meddle = undefined;
  await clock.advance(30_000);
  expect(appliedSeqs(paris)).toEqual([2]);
});

test("a peer that was removed while it was asked is not asked in a circle", async () => {
  const { clock, site, start, members } = await openSites(["berlin", "paris"]);
  const [berlin, paris] = [site("berlin"), site("paris")];
  start();
  await clock.advance(1000);
  writeSmall(paris, "a");
  await clock.advance(1);
  members.splice(1, 1, { ...paris.member, state: "removed" });
  const before = berlin.asked.length;
  writeSmall(paris, "b");
  await clock.advance(0);
  expect(berlin.asked.length - before).toBeLessThan(5);
  await clock.advance(1000);
  expect(appliedSeqs(berlin)).toEqual([1]);
});

test("bytes are gone when no member has them, and not while one of them is not asked", async () => {
  const { clock, site, start, members, world } = await openSites(["berlin", "paris", "rome"]);
  start();
  await clock.advance(1000);
  const hash = required(parseContentHash("a".repeat(64)), "hash");
  const body = { kind: "manifests", manifests: [{ hash, bytes: 1 }] } as const;
  const find = async () => {
    const found = site("berlin").replication.fetch(body, undefined, new AbortController().signal);
    await clock.advance(1);
    return await found;
  };
  expect(await find()).toEqual({ outcome: "gone" });
  // Somebody has joined, and is not followed yet.
  members.push({ ...site("rome").member, id: required(parseSiteId("9".repeat(16)), "site") });
  expect(await find()).toMatchObject({ outcome: "unreachable" });
  members.pop();
  world.meddle = async (to, request, deliver) => {
    const answer = await deliver();
    if (to !== "rome" || request.path !== "/v1/repl/pull") return answer;
    return { status: 200, body: Buffer.from("no page") };
  };
  writeSmall(site("rome"), "something to lie about");
  await clock.advance(60_000);
  expect(await find()).toEqual({ outcome: "unreachable", reason: "rome is not asked now" });
});
