import { describe, expect, test } from "vitest";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { createNativeHash } from "../ports/native-hash.ts";
import { ChainChecks, type PendingDigest } from "./chain-checks.ts";

const CHAIN_BYTES = 32;

describe.each([
  ["in line", createInlineHash],
  ["on a thread", () => createNativeHash()],
])("chains checked %s", (_name, makeHash) => {
  /** Adds operations of `bytes` each, where the one at `wrongAt` follows something else. */
  async function check(count: number, bytes: number, wrongAt?: number): Promise<boolean> {
    const hash = await makeHash();
    const checks = new ChainChecks(hash);
    let chain: Buffer = Buffer.alloc(CHAIN_BYTES);
    let before: PendingDigest | undefined;
    try {
      for (let index = 0; index < count; index++) {
        const stated = index === wrongAt ? Buffer.alloc(CHAIN_BYTES, 7) : chain;
        const operation = Buffer.concat([stated, Buffer.alloc(bytes, index)]);
        before = checks.add(operation, { from: 0, to: operation.length, chainAt: 0 }, before);
        chain = hash.digest("SHA256", Buffer.concat([stated, operation]));
        if (checks.isBehind) await checks.catchUp();
      }
      if (before !== undefined) expect(checks.digestOf(before).equals(chain)).toBe(true);
      await checks.finish();
      if (before !== undefined) expect(checks.digestOf(before).equals(chain)).toBe(true);
      return true;
    } catch (failure) {
      if (failure instanceof Error && failure.message.includes("does not follow")) return false;
      throw failure;
    } finally {
      await hash.close();
    }
  }

  test("hold through few and through many jobs", async () => {
    expect(await check(0, 0)).toBe(true);
    expect(await check(3, 100)).toBe(true);
    expect(await check(20_000, 300)).toBe(true);
  });

  test("are broken by one operation anywhere, also the first of a job", async () => {
    expect(await check(3, 100, 1)).toBe(false);
    const perJob = Math.floor((1024 * 1024) / (2 * CHAIN_BYTES + 1000));
    for (const at of [perJob - 1, perJob, perJob + 1, 4 * perJob]) {
      expect(await check(6 * perJob, 1000, at)).toBe(false);
    }
  });
});
