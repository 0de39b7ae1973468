import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accessKeyContext } from "../../src/core/access-key.ts";
import { openEnvelope, sealEnvelope } from "../../src/core/encryption-envelope.ts";
import {
  type AccessKeyId,
  parseAccessKeyId,
  parseOriginId,
  parseSiteId,
} from "../../src/core/names.ts";
import { sealSecret, unsealSecret } from "../../src/core/seal.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { Seed } from "../sim/seed.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { MemberTestSite, Wires } from "../support/member-site.ts";

const ALPHA = bucketOf("alpha");
const OBJECT = keyOf("sealed");
const SHARED_ID = required(parseAccessKeyId("SHAREDKEY"), "id");
const random = createSimRandom(new Seed("join tests"));

let wires: Wires;
let open: MemberTestSite[];

beforeEach(() => {
  wires = new Wires();
  open = [];
});
afterEach(async () => {
  for (const site of open) await site.site.close();
});

async function make(name: string): Promise<MemberTestSite> {
  const site = await MemberTestSite.make(name, wires);
  open.push(site);
  return site;
}

async function putKey({ site }: MemberTestSite, id: AccessKeyId, secret: string): Promise<void> {
  const nonce = random.bytes(12);
  await site.store.putAccessKey({
    ...{ id, state: "active", name: "", policies: [], createdMs: 1 },
    sealedSecret: sealSecret(
      site.dataDir.keyRing,
      Buffer.from(secret),
      accessKeyContext(id),
      nonce,
    ),
  });
}

function secretOf({ site }: MemberTestSite, id: AccessKeyId): string | undefined {
  const sealed = site.store.accessKey(id)?.sealedSecret ?? new Uint8Array(0);
  const secret = unsealSecret(
    { current: site.dataDir.keyRing.current, keys: site.dataDir.keyRing.keys },
    sealed,
    accessKeyContext(id),
  );
  return secret === undefined ? undefined : Buffer.from(secret).toString();
}

/** A key, and an object whose envelope is sealed. */
async function putData(site: MemberTestSite): Promise<void> {
  const { store, dataDir } = site.site;
  await store.createBucket({ name: ALPHA, owner: "o" });
  await putKey(site, required(parseAccessKeyId("OWNKEY"), "id"), "own secret");
  const secret = { kind: "managed", dataKey: Buffer.alloc(32, 9), layout: undefined } as const;
  await store.putObject({
    ...{ bucket: ALPHA, key: OBJECT },
    object: {
      ...{ size: 1, etag: "0".repeat(32), checksums: [], parts: [] },
      attributes: { system: [], user: [], storageClass: undefined, tags: [] },
      encryption: sealEnvelope(dataDir.keyRing, secret, ALPHA, random.bytes(12)),
    },
    body: { kind: "inline", bytes: Buffer.from("x") },
  });
}

/** Everything that the site sealed opens with the ring that it shares now. */
function expectReadable(site: MemberTestSite): void {
  expect(secretOf(site, required(parseAccessKeyId("OWNKEY"), "id"))).toBe("own secret");
  const { keyRing } = site.site.dataDir;
  const shared = { current: keyRing.current, keys: keyRing.keys };
  const envelope = site.site.store.object(ALPHA, OBJECT)?.record.encryption;
  const opened = openEnvelope(shared, envelope ?? new Uint8Array(0), ALPHA);
  expect(opened?.kind === "managed" && opened.dataKey[0]).toBe(9);
}

function namesOf({ site }: MemberTestSite): string[] {
  return site.store.sites().map(({ id, state }) => `${id} ${state}`);
}

async function expectMembers(first: MemberTestSite, second: MemberTestSite): Promise<void> {
  const [one, other] = [first.site, second.site];
  expect(one.identity.clusterId).toBe(other.identity.clusterId);
  expect(namesOf(first)).toEqual(namesOf(second));
  expect(namesOf(first)).toHaveLength(2);
  expect([...other.dataDir.keyRing.keys]).toEqual([...one.dataDir.keyRing.keys]);
  expect(await first.isHeardBy(second)).toBe(true);
  expect(await second.isHeardBy(first)).toBe(true);
}

describe("a site that joins", () => {
  test("has the cluster's id and keys, reads what it had, and is known to the other", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    await putData(second);
    const before = second.site.identity.clusterId;
    const joined = await second.join(await first.invite());
    expect(joined).toMatchObject({ outcome: "joined", resealed: 2, unreadable: 0 });
    await expectMembers(first, second);
    expectReadable(second);
    // Segments of the former cluster are read after a restart, and a rebuild.
    await second.restart();
    expect(second.site.identity.formerClusterIds).toEqual([before]);
    await expectMembers(first, second);
    expectReadable(second);
    expect(await second.join(await first.invite())).toMatchObject({ outcome: "already" });
  });

  test("ends well when its power goes at any step, and it is told to join again", async () => {
    const clean = await make("clean-joiner");
    const inviter = await make("clean-inviter");
    await putData(clean);
    const token = await inviter.invite();
    const before = clean.machine.disk.steps.steps;
    await clean.join(token);
    const steps = clean.machine.disk.steps.steps - before;
    expect(steps).toBeGreaterThan(20);
    for (let step = 1; step <= steps; step++) {
      const first = await make(`inviter-${step}`);
      const second = await make(`joiner-${step}`);
      await putData(second);
      const invitation = await first.invite();
      const { disk } = second.machine;
      disk.steps.cutPowerAt(disk.steps.steps + step, { hang: true });
      const joining = second.join(invitation).catch(() => "cut");
      await Promise.race([joining, disk.steps.cut]);
      await new Promise((resolve) => setImmediate(resolve));
      await second.recover();
      const { outcome } = await second.join(invitation);
      expect(["joined", "already"], `step ${step}`).toContain(outcome);
      await expectMembers(first, second);
      expectReadable(second);
    }
  });

  test("ends well when the inviting site's power goes at any step", async () => {
    for (let step = 1; step <= 12; step++) {
      const first = await make(`inviter-${step}`);
      const second = await make(`joiner-${step}`);
      const token = await first.invite();
      const { disk } = first.machine;
      disk.steps.cutPowerAt(disk.steps.steps + step, { hang: true });
      const joining = second.join(token).catch(() => "cut");
      await Promise.race([joining, disk.steps.cut]);
      await first.recover();
      await second.restart();
      const { outcome } = await second.join(token);
      expect(["joined", "already"], `step ${step}`).toContain(outcome);
      await expectMembers(first, second);
    }
  });

  test("is refused by name when a key of both has two secrets, and nothing has changed", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    await putKey(first, SHARED_ID, "one secret");
    await putKey(second, SHARED_ID, "another secret");
    await putData(second);
    const before = second.site.identity.clusterId;
    const refused = await second.join(await first.invite());
    expect(refused.outcome === "refused" && refused.message).toContain("SHAREDKEY");
    expect(second.site.identity.clusterId).toBe(before);
    expect(second.site.dataDir.keyRing.former).toEqual([]);
    expect(namesOf(first)).toHaveLength(1);
    expect(namesOf(second)).toHaveLength(0);
    expectReadable(second);
  });

  test("may bring a key along that the other knows with the same secret", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    for (const site of [first, second]) await putKey(site, SHARED_ID, "the secret");
    expect(await second.join(await first.invite())).toMatchObject({ outcome: "joined" });
    expect(secretOf(second, SHARED_ID)).toBe("the secret");
  });
});

describe("a token", () => {
  test("is good for one site, which may use it again", async () => {
    const [first, second, third] = [await make("berlin"), await make("paris"), await make("rome")];
    const token = await first.invite();
    await second.join(token);
    await expect(third.join(token)).rejects.toThrow(/refuses this site \(token\): .*[^.]$/);
    expect(namesOf(first)).toHaveLength(2);
    expect(await second.join(token)).toMatchObject({ outcome: "already" });
    expect([...first.refusals.counts()]).toEqual([["token", 1]]);
  });

  test("that is typed at a member which has nothing new to say stays good for another site", async () => {
    const [first, second, third] = [await make("berlin"), await make("paris"), await make("rome")];
    await second.join(await first.invite());
    const token = await first.invite();
    const { outcome } = await second.join(token);
    expect([outcome, (await third.join(token)).outcome]).toEqual(["already", "joined"]);
  });

  test("does not let two sites join at once that are called the same", async () => {
    const first = await make("berlin");
    const twins = [await make("paris"), await make("rome")];
    for (const { site } of twins) Object.assign(site.identity, { name: "paris" });
    const tokens = [await first.invite(), await first.invite()];
    const outcomes = await Promise.all(twins.map((twin, at) => twin.join(tokens[at] ?? "")));
    expect(outcomes.map(({ outcome }) => outcome).sort()).toEqual(["joined", "refused"]);
    expect(namesOf(first)).toHaveLength(2);
  });

  test("is taken of one of two sites that join each other at once", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    const [ofFirst, ofSecond] = [await first.invite(), await second.invite()];
    const outcomes = await Promise.all([first.join(ofSecond), second.join(ofFirst)]);
    // Each would be in the cluster that the other one has left.
    expect(outcomes).toMatchObject([
      { outcome: "refused", message: expect.stringContaining("try again") },
      { outcome: "joined" },
    ]);
    await expectMembers(first, second);
  });

  test("lets a member that has moved say where it is, and hear where the other one is", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    await second.join(await first.invite());
    const moved = [first.address, "http://berlin:9001"];
    const invited = await first.membership.invite({ addresses: moved, insecure: true }, 3_600_000);
    if (invited.outcome !== "invited") throw new Error(invited.message);
    const wish = { addresses: ["http://paris:9001"], insecure: true };
    expect(await second.membership.join(invited.token, wish)).toMatchObject({ outcome: "already" });
    for (const { site } of [first, second]) {
      const addressesOf = (one: MemberTestSite) =>
        site.store.site(one.site.identity.siteId)?.addresses;
      expect([addressesOf(first), addressesOf(second)]).toEqual([moved, wish.addresses]);
    }
  });

  test("is neither given out nor taken by a site whose clock is not believed", async () => {
    const [first, second, third] = [await make("berlin"), await make("paris"), await make("rome")];
    await second.join(await first.invite());
    const token = await first.invite();
    first.site.guard.arm();
    first.machine.clock.jump(60_000);
    const before = first.site.store.logHead();
    const clock = { kind: "clock", hint: expect.stringContaining("atoll clock accept") };
    await expect(first.invite()).rejects.toMatchObject(clock);
    await expect(first.membership.remove("paris")).rejects.toMatchObject(clock);
    const refused = await third.join(token);
    expect(refused).toMatchObject({ message: expect.stringContaining("jumped ahead") });
    expect([namesOf(first).length, first.site.store.logHead()]).toEqual([2, before]);
    first.site.guard.accept();
    expect(await third.join(token)).toMatchObject({ outcome: "joined" });
  });

  test("is not taken when it is late, altered, of another site, or after a restart forgotten", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    const token = await first.invite(1);
    expect(await second.join(`${token.slice(0, -3)}abc`)).toMatchObject({ outcome: "refused" });
    expect(await first.join(token)).toMatchObject({ outcome: "refused" });
    await first.restart();
    first.machine.clock.leap(2 * 3_600_000);
    // The joiner's clock is behind: only the inviting site can tell that the token is late.
    second.machine.clock.leap(2 * 3_600_000 - 3_660_000);
    await expect(second.join(token)).rejects.toThrow("refuses");
    expect([...first.refusals.counts()]).toEqual([["token", 1]]);
    second.machine.clock.leap(3_660_000);
    expect(await second.join(token)).toMatchObject({ outcome: "refused" });
    expect(namesOf(first)).toHaveLength(1);
  });

  test("shows nothing of itself where it is kept", async () => {
    const first = await make("berlin");
    const token = await first.invite();
    const file = Buffer.from(await first.machine.disk.readFile("/srv/atoll/invitations.json"));
    const secret = Buffer.from(token.slice("atoll-join-1.".length), "base64url").subarray(-36, -4);
    expect(file.toString()).not.toContain(secret.toString("hex"));
    expect(file.toString()).toContain("publicKey");
  });
});

describe("a site that is removed", () => {
  test("is heard no more, and comes back as a new origin only", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    await second.join(await first.invite());
    const { siteId, origin } = second.site.identity;
    expect(await first.membership.remove(siteId)).toMatchObject({ outcome: "removed" });
    expect(await second.isHeardBy(first)).toBe(false);
    // It has not heard of its removal, for nobody talks to it any more.
    expect(namesOf(second)).toContain(`${siteId} active`);
    const token = await first.invite();
    expect(await second.join(token)).toMatchObject({ outcome: "refused" });
    await second.restart();
    expect(second.site.identity.origin).not.toBe(origin);
    expect(await second.join(token)).toMatchObject({ outcome: "joined" });
    expect(await second.isHeardBy(first)).toBe(true);
    expect(first.site.store.site(siteId)).toMatchObject({
      state: "active",
      removedOrigins: [origin],
    });
  });

  test("removes nobody: when it comes back, all others would hear of it", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    await second.join(await first.invite());
    const own = required(second.site.store.site(second.site.identity.siteId), "site");
    const { removedOrigins: _, ...record } = own;
    await second.site.store.putSite({ ...record, state: "removed" });
    expect(await second.membership.remove("berlin")).toEqual({
      ...{ outcome: "refused", message: "This site was removed from its cluster." },
    });
    expect(namesOf(second)).toContain(`${first.site.identity.siteId} active`);
  });

  test("is not itself the one that does it, and is one that is there", async () => {
    const [first, second] = [await make("berlin"), await make("paris")];
    await second.join(await first.invite());
    const { siteId } = first.site.identity;
    expect(await first.membership.remove(siteId)).toMatchObject({ outcome: "refused" });
    expect(await first.membership.remove("nowhere")).toMatchObject({ outcome: "refused" });
    expect(namesOf(first).every((name) => name.endsWith("active"))).toBe(true);
  });
});

test("of several sites of one name none is removed by that name", async () => {
  const [first, second] = [await make("berlin"), await make("paris")];
  await second.join(await first.invite());
  const { removedOrigins: _, ...paris } = required(
    first.site.store.site(second.site.identity.siteId),
    "site",
  );
  // One that was given its name when it was started again.
  const id = required(parseSiteId("00000000000000aa"), "site id");
  const origins = [required(parseOriginId("00000000000000bb"), "origin")];
  await first.site.store.putSite({ ...paris, id, origins });
  expect(await first.membership.remove(paris.name)).toMatchObject({
    outcome: "refused",
    message: expect.stringContaining("Several sites"),
  });
  expect(namesOf(first).every((name) => name.endsWith("active"))).toBe(true);
  expect(await first.membership.remove(id)).toMatchObject({ outcome: "removed" });
  expect(await first.membership.remove(paris.name)).toMatchObject({
    outcome: "removed",
    site: { id: second.site.identity.siteId },
  });
});

test("a member that was copied to another disk says by itself that it has a new origin", async () => {
  const [first, second] = [await make("berlin"), await make("paris")];
  await second.join(await first.invite());
  const { siteId, origin } = second.site.identity;
  // What a copy does: the data directory is not where site.json says that it is.
  await second.site.close();
  const { disk } = second.machine;
  const file = "/srv/atoll/site.json";
  const text = Buffer.from(await disk.readFile(file)).toString();
  await disk.remove(file);
  const moved = await disk.create(file, "buffered");
  await moved.write(Buffer.from(text.replace(/"inode": \d+/, '"inode": 424242')), 0);
  await moved.sync();
  await moved.close();
  await second.start();
  expect(second.site.identity.origin).not.toBe(origin);
  const own = second.site.store.site(siteId);
  expect(own).toMatchObject({ state: "active", removedOrigins: [] });
  expect(own?.origins).toEqual([origin, second.site.identity.origin].sort());
  expect(await second.isHeardBy(first)).toBe(true);
});

test("a key that one site makes is known to the others, and both may make one at once", async () => {
  const [first, second] = [await make("berlin"), await make("paris")];
  await second.join(await first.invite());
  const rings = [first, second].map(({ site }) => site.dataDir.keyRing);
  await Promise.all(rings.map((ring) => ring.rotate()));
  for (const site of [first, second, first]) await site.rings?.look();
  const [one, other] = rings;
  expect(one?.keys.size).toBe(3);
  expect(one?.current).toBe(other?.current);
  expect(new Map([...(one?.keys ?? [])].sort())).toEqual(new Map([...(other?.keys ?? [])].sort()));
});

test.each([
  ["no address", [], true, "Say where"],
  ["plain http", ["http://paris:9000"], false, "--insecure-peer"],
  ["a path", ["https://paris:9000/x"], true, "has a path"],
])(
  "a token is not given out, and no site joins, with %s",
  async (_name, addresses, insecure, why) => {
    const [first, second] = [await make("berlin"), await make("paris")];
    const wish = { addresses, insecure };
    const invited = await first.membership.invite(wish, 1000);
    expect(invited.outcome === "refused" && invited.message).toContain(why);
    const joined = await second.membership.join(await first.invite(), wish);
    expect(joined.outcome === "refused" && joined.message).toContain(why);
  },
);
