import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { accessKeyContext } from "../../src/core/access-key.ts";
import { versioningSetting } from "../../src/core/bucket-versioning.ts";
import { ByteWriter } from "../../src/core/bytes.ts";
import {
  type EnvelopeSecret,
  envelopeKeyId,
  openEnvelope,
  sealEnvelope,
} from "../../src/core/encryption-envelope.ts";
import { hlcFromMs } from "../../src/core/hlc.ts";
import {
  type AccessKeyId,
  type BucketName,
  type ObjectKey,
  parseAccessKeyId,
  parseOriginId,
  parseSeq,
} from "../../src/core/names.ts";
import { encodeOperation } from "../../src/core/operation-codec.ts";
import type { AccessKeyRecord } from "../../src/core/records.ts";
import { sealingKeyOf, sealSecret, unsealSecret } from "../../src/core/seal.ts";
import { required } from "../../src/core/tagged-fields.ts";
import { type RewrapPosition, rewrapStep } from "../../src/storage/rewrap.ts";
import type { Store } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import type { Running } from "../sim/sim-machine.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { realSite, type SiteFixture, simulatedSite } from "../support/site-fixture.ts";

const alpha = bucketOf("alpha");
const beta = bucketOf("beta");
const [one, two] = ["KEYONE", "KEYTWO"].map((text) => {
  const id = parseAccessKeyId(text);
  if (id === undefined) throw new Error(`${text} is no access key id`);
  return id;
}) as [AccessKeyId, AccessKeyId];
const OTHER = required(parseOriginId("bb".repeat(8)), "origin");
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };

function secretOf(number: number): EnvelopeSecret {
  return { kind: "managed", dataKey: Buffer.alloc(32, number), layout: undefined };
}

describe.each([
  ["a real directory", () => realSite("off")],
  ["a simulated disk", () => simulatedSite("on")],
])("the key ring in %s", (_name, make) => {
  let fixture: SiteFixture;
  let running: Running;
  const random = createSimRandom(new Seed("key-ring"));

  beforeEach(async () => {
    fixture = await make();
    running = await fixture.open();
    for (const name of [alpha, beta]) {
      const versioning = versioningSetting(name === beta ? "enabled" : "suspended");
      const settings = new Map(versioning === undefined ? [] : [["versioning", versioning]]);
      await running.site.store.createBucket({ name, owner: "o", settings });
    }
  });

  afterEach(async () => {
    await running.site.close();
    fixture.remove();
  });

  const ring = () => running.site.dataDir.keyRing;

  async function put(bucket: BucketName, key: ObjectKey, number?: number): Promise<void> {
    const encryption =
      number === undefined
        ? undefined
        : sealEnvelope(ring(), secretOf(number), bucket, random.bytes(12));
    const etag = "0".repeat(32);
    const object = { size: 1, etag, attributes: ATTRIBUTES, checksums: [], parts: [], encryption };
    const body = { kind: "inline", bytes: Buffer.from("x") } as const;
    const { outcome } = await running.site.store.putObject({
      ...{ bucket, key, body },
      object: { ...object, lock: undefined },
    });
    expect(outcome).toBe("stored");
  }

  /** Key of the ring and data key of every encrypted version, in order. */
  function envelopes(store: Store = running.site.store): string[] {
    const found: string[] = [];
    for (const bucket of [alpha, beta]) {
      const cursor = store.versions(bucket);
      for (let version = cursor.next(); version !== undefined; version = cursor.next()) {
        const { encryption } = version.kind === "object" ? version.object.record : {};
        if (encryption === undefined) continue;
        const secret = openEnvelope(ring(), encryption, bucket);
        const dataKey = secret?.kind === "managed" ? secret.dataKey[0] : "unreadable";
        found.push(`${envelopeKeyId(encryption)}:${dataKey}`);
      }
      cursor.close();
    }
    return found;
  }

  async function rewrapAll(versionsMax: number): Promise<number[]> {
    const steps: number[] = [];
    let next: RewrapPosition | undefined;
    do {
      const { store } = running.site;
      const step = await rewrapStep({ store, keyRing: ring(), random }, next, versionsMax);
      expect(step.seen).toBeLessThanOrEqual(versionsMax);
      expect(step.unreadable).toBe(0);
      steps.push(step.rewrapped);
      next = step.next;
    } while (next !== undefined);
    return steps;
  }

  test("a new key is current at once and after a restart, and the old ones stay", async () => {
    const first = ring().keys.get("1");
    expect(ring().current).toBe("1");
    expect(await Promise.all([ring().rotate(), ring().rotate()])).toEqual(["2", "3"]);
    const keys = [...ring().keys];
    expect(ring().current).toBe("3");
    await running.site.close();
    running = await fixture.open();
    expect(ring().current).toBe("3");
    expect([...ring().keys].map(([id]) => id)).toEqual(["1", "2", "3"]);
    expect([...ring().keys].map(([, key]) => Buffer.from(key))).toEqual(
      keys.map(([, key]) => Buffer.from(key)),
    );
    expect(Buffer.from(ring().keys.get("1") ?? []).equals(Buffer.from(first ?? []))).toBe(true);
  });

  test.each([1, 2, 3, 1000])(
    "rewrapping %i versions a step reaches every version once, and changes no data key",
    async (versionsMax) => {
      for (const [at, key] of ["a", "b", "c"].entries()) {
        await put(alpha, keyOf(key), at + 1);
        await put(beta, keyOf(key), at + 11);
        await put(beta, keyOf(key), at + 21);
      }
      await put(alpha, keyOf("plain"));
      await running.site.store.deleteObject({ bucket: beta, key: keyOf("b") });
      await ring().rotate();
      const before = envelopes();
      expect(before).toHaveLength(9);
      const steps = await rewrapAll(versionsMax);
      expect(steps.reduce((sum, count) => sum + count, 0)).toBe(9);
      const after = envelopes();
      expect(after).toEqual(before.map((entry) => entry.replace(/^1:/, "2:")));
      expect((await rewrapAll(versionsMax)).every((count) => count === 0)).toBe(true);
      await running.site.close();
      running = await fixture.open({ rebuildIndex: true });
      expect(envelopes()).toEqual(after);
    },
  );

  /** A write of another site that lost, as a bootstrap brings it. */
  async function lose(key: string, number: number): Promise<void> {
    const encryption = sealEnvelope(ring(), secretOf(number), alpha, random.bytes(12));
    const writer = new ByteWriter();
    encodeOperation(writer, {
      dot: { origin: OTHER, seq: required(parseSeq(number), "sequence") },
      hlc: hlcFromMs(fixture.clock.nowMs() - 1000 + number),
      chainBefore: Buffer.alloc(32),
      vector: { full: false, entries: new Map() },
      group: undefined,
      body: {
        ...{ kind: "object-put", bucket: alpha, key: keyOf(key), nullSlot: true, conflict: true },
        object: {
          ...{ size: 1, etag: "0".repeat(32), lastModifiedMs: 1, attributes: ATTRIBUTES },
          ...{ checksums: [], parts: [], encryption, body: { kind: "inline", bytes: 1 } },
        },
      },
      unknownFields: [],
    });
    const row = { encoded: writer.finish(), inline: Buffer.from("y"), manifests: [] };
    const step = { rows: [row], removed: [], progress: undefined, rewrite: false };
    expect(await running.site.store.rows.import(step)).toMatchObject({ imported: 1 });
  }

  /** Key of the ring and data key of every conflict, in order. */
  function conflicts(): string[] {
    const page = running.site.store.conflicts.list(undefined, undefined, 100);
    return page.conflicts.map(({ record: { encryption } }) => {
      if (encryption === undefined) throw new Error("a conflict is not encrypted");
      const secret = openEnvelope(ring(), encryption, alpha);
      const dataKey = secret?.kind === "managed" ? secret.dataKey[0] : "unreadable";
      return `${envelopeKeyId(encryption)}:${dataKey}`;
    });
  }

  test.each([1, 2, 3, 1000])(
    "rewrapping %i versions a step reaches conflicts too, though their bucket is gone",
    async (versionsMax) => {
      const { store } = running.site;
      await put(alpha, keyOf("a"), 9);
      await put(alpha, keyOf("b"), 8);
      for (const number of [1, 2, 3]) await lose(number < 3 ? "a" : "b", number);
      expect(conflicts()).toEqual(["1:2", "1:1", "1:3"]);
      // With every object and its marker gone, the bucket goes; its conflicts do not.
      if (versionsMax === 3) {
        for (const key of ["a", "b"].map(keyOf)) {
          await store.deleteObject({ bucket: alpha, key, version: "null" });
        }
        expect(await store.deleteBucket(alpha)).toEqual({ outcome: "deleted" });
      }
      const before = envelopes();
      await ring().rotate();
      const rewrapped = (await rewrapAll(versionsMax)).reduce((sum, count) => sum + count, 0);
      expect(rewrapped).toBe(before.length + 3);
      expect(conflicts()).toEqual(["2:2", "2:1", "2:3"]);
      expect(envelopes()).toEqual(before.map((entry) => entry.replace(/^1:/, "2:")));
      expect((await rewrapAll(versionsMax)).every((count) => count === 0)).toBe(true);
      await running.site.close();
      running = await fixture.open({ rebuildIndex: true });
      expect(conflicts()).toEqual(["2:2", "2:1", "2:3"]);
    },
  );

  test("an object that has been replaced meanwhile keeps its own envelope", async () => {
    await put(alpha, keyOf("k"), 1);
    await ring().rotate();
    const { store } = running.site;
    const racing: Store = Object.assign(Object.create(store), {
      changeObject: async (request: Parameters<Store["changeObject"]>[0]) => {
        await put(alpha, keyOf("k"), 2);
        return store.changeObject(request);
      },
    });
    const step = await rewrapStep({ store: racing, keyRing: ring(), random }, undefined, 10);
    expect(step.rewrapped).toBe(0);
    expect(envelopes()).toEqual(["2:2"]);
  });

  test("secrets of access keys are sealed anew, whatever else is changed about them", async () => {
    const { store } = running.site;
    const seal = (id: AccessKeyId) =>
      sealSecret(ring(), Buffer.from(`secret of ${id}`), accessKeyContext(id), random.bytes(12));
    const record = (id: AccessKeyId): AccessKeyRecord => ({
      ...{ id, state: "active", name: "", policies: [], createdMs: 1 },
      sealedSecret: seal(id),
    });
    for (const id of [one, two]) await store.putAccessKey(record(id));
    await ring().rotate();
    const racing: Store = Object.assign(Object.create(store), {
      resealAccessKey: (...given: Parameters<Store["resealAccessKey"]>) => {
        const [id] = given;
        const disabled = store.putAccessKey({ ...record(id), state: "disabled" });
        return Promise.all([disabled, store.resealAccessKey(...given)]).then(([, done]) => done);
      },
    });
    const step = await rewrapStep({ store: racing, keyRing: ring(), random }, undefined, 10);
    expect(step.accessKeys).toBe(2);
    for (const id of [one, two]) {
      const kept = store.accessKey(id);
      expect(kept?.state).toBe("disabled");
      const sealed = kept?.sealedSecret ?? new Uint8Array(0);
      expect(sealingKeyOf(sealed)).toBe("2");
      const secret = unsealSecret(ring(), sealed, accessKeyContext(id));
      expect(Buffer.from(secret ?? []).toString()).toBe(`secret of ${id}`);
    }
    expect((await rewrapStep({ store, keyRing: ring(), random }, undefined, 10)).accessKeys).toBe(
      0,
    );
  });

  test("an envelope that no key opens is told and left as it is", async () => {
    await put(alpha, keyOf("k"), 1);
    await ring().rotate();
    const { store } = running.site;
    const other = { current: "2", keys: new Map([["2", new Uint8Array(32)]]) };
    const step = await rewrapStep({ store, keyRing: other, random }, undefined, 10);
    expect(step).toMatchObject({ seen: 1, rewrapped: 0, unreadable: 1, next: undefined });
    expect(envelopes()).toEqual(["1:1"]);
  });
});
