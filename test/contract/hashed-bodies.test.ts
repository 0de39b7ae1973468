import { createHash } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { createNativeHash } from "../../src/ports/native-hash.ts";
import type { PutObjectRequest, StagedBody } from "../../src/storage/store.ts";
import { readBody } from "../sim/store-check.ts";
import { bucketOf, keyOf } from "../sim/store-journal.ts";
import { SITES, useSite } from "../support/site-suite.ts";

const MIB = 1024 * 1024;
const bucket = bucketOf("alpha");
const PLAIN = { system: [], user: [], storageClass: undefined, tags: [] };

const hash = await createNativeHash();
afterAll(() => hash.close());

/** Bytes of which no two blocks are alike. */
function bodyOf(length: number, salt: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4)
    bytes.writeUInt32LE(Math.imul(at + salt, 2654435761) >>> 0, at);
  return bytes;
}

describe.each(SITES)("in %s", (_name, make) => {
  const { store } = useSite(make);

  async function stage(
    body: Buffer,
    pieceBytes: number,
  ): Promise<{ staged: StagedBody; digests: ReadonlyMap<string, Buffer> }> {
    const writer = await store().stageBody();
    const hasher = hash.startStream(["MD5", "SHA256", "CRC32", "CRC64NVME"]);
    const hashed = writer.hashWith?.(hasher);
    const piece = Buffer.alloc(pieceBytes);
    const pending: Array<Promise<void> | undefined> = [];
    for (let at = 0; at < body.length; at += pieceBytes) {
      const length = body.copy(piece, 0, at, at + pieceBytes);
      pending.push(writer.write(piece.subarray(0, length)));
      // The engine uses its memory again as soon as a write has returned.
      piece.fill(0);
      if (hashed?.takes(pieceBytes) !== true) await Promise.all(pending.splice(0));
    }
    await Promise.all(pending);
    hashed?.end();
    return { digests: await hasher.digest(), staged: await writer.finish() };
  }

  test.each([
    [1, 1],
    [300_001, 7777],
    [4 * MIB, 64 * 1024],
    [4 * MIB + 1, 512 * 1024],
    [13 * MIB + 77, 600_000],
  ])("a body of %d bytes is hashed where it lies, and lies there as it came", async (size, by) => {
    const body = bodyOf(size, by);
    const { staged, digests } = await stage(body, by);
    const md5 = createHash("md5").update(body).digest();
    expect(digests.get("MD5")?.equals(md5)).toBe(true);
    for (const name of ["SHA256", "CRC32", "CRC64NVME"] as const) {
      expect(digests.get(name)?.equals(hash.digest(name, body))).toBe(true);
    }
    const object = { size, etag: md5.toString("hex"), attributes: PLAIN, checksums: [], parts: [] };
    const key = keyOf("hashed");
    const request: PutObjectRequest = {
      ...{ bucket, key, object: { ...object, encryption: undefined } },
      body: { kind: "staged", staged },
    };
    expect((await store().putObject(request)).outcome).toBe("stored");
    const stored = store().object(bucket, key);
    if (stored === undefined) throw new Error("the object has gone");
    expect((await readBody(store(), stored, 0, size)).equals(body)).toBe(true);
  });

  test("bodies at once do not mix, and one that is given up leaves the others alone", async () => {
    const bodies = Array.from({ length: 5 }, (_, salt) => bodyOf(6 * MIB + salt, salt * 4));
    const given = await store().stageBody();
    const lost = hash.startStream(["MD5"]);
    given.hashWith?.(lost);
    const all = bodies.map((body) => stage(body, 500_000));
    await given.write(bodyOf(3 * MIB, 9));
    lost.abort();
    given.abort();
    for (const [at, { digests, staged }] of (await Promise.all(all)).entries()) {
      const md5 = createHash("md5")
        .update(bodies[at] ?? Buffer.of())
        .digest();
      expect(digests.get("MD5")?.equals(md5)).toBe(true);
      staged.discard();
    }
  });

  test("a hasher that fails is told to who writes", async () => {
    const writer = await store().stageBody();
    writer.hashWith?.({ lend: () => Promise.reject(new Error("no hasher")) });
    await expect(
      (async () => {
        for (let round = 0; round < 9; round++) await writer.write(bodyOf(MIB, round));
        await writer.finish();
      })(),
    ).rejects.toThrow("could not be stored");
  });
});
