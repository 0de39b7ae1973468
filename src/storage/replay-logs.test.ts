import { describe, expect, test } from "vitest";
import { createInlineHash } from "../../test/sim/sim-hash.ts";
import { ByteWriter } from "../core/bytes.ts";
import { NOTHING_SEEN } from "../core/causality.ts";
import { HLC_ZERO, hlcFromMs } from "../core/hlc.ts";
import { parseBucketName, parseOriginId, parseSeq, SEQ_ZERO } from "../core/names.ts";
import { chainAfter, decodeOperation, encodeOperation } from "../core/operation-codec.ts";
import { ChainChecks } from "./chain-checks.ts";
import { OriginLogs } from "./origin-logs.ts";
import { ReplayLogs } from "./replay-logs.ts";
import { Withdrawals } from "./withdrawn.ts";

const OWN = "00000000000000aa";
const OTHER = "ffffffffffffffbb";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("a value of this test is not valid");
  return value;
}

describe.each([
  ["this site's", OWN],
  ["another site's", OTHER],
])("%s log, followed without decoding it", (_name, origin) => {
  async function begin() {
    const hash = await createInlineHash();
    const checks = new ChainChecks(hash);
    const zero = { seq: SEQ_ZERO, chain: Buffer.alloc(32), vector: NOTHING_SEEN };
    const logs = new ReplayLogs({
      ...{ origin: must(parseOriginId(OWN)), hash, checks, gap: false },
      head: { ...zero, hlc: HLC_ZERO, ownHlc: HLC_ZERO },
      origins: new OriginLogs(),
      withdrawals: new Withdrawals([]),
    });
    const sha256 = (input: Uint8Array): Buffer => hash.digest("SHA256", input);
    return { checks, logs, sha256 };
  }

  function operation(seq: number, chainBefore: Buffer): Buffer {
    const writer = new ByteWriter();
    encodeOperation(writer, {
      ...{ dot: { origin: must(parseOriginId(origin)), seq: must(parseSeq(seq)) }, chainBefore },
      // Readings whose halves have their highest bit set, and one that goes back.
      hlc: hlcFromMs(seq === 4 ? 1 : 0x8000_0000_0000 + seq),
      vector: { full: false, entries: new Map() },
      ...{ group: undefined, unknownFields: [] },
      body: { kind: "bucket-delete", bucket: must(parseBucketName("alpha")), deletedMs: 1 },
    });
    return writer.finish();
  }

  /** As a replay does it. */
  function decode(logs: ReplayLogs, bytes: Buffer): void {
    const decoded = decodeOperation(bytes);
    logs.observe(decoded.hlc);
    logs.follow(decoded, bytes);
  }

  function next(logs: ReplayLogs, bytes: Buffer): boolean {
    return logs.next(bytes, 0, bytes.length);
  }

  test("ends in the state that decoding leads to", async () => {
    const plain = await begin();
    const decoded = await begin();
    let chain: Buffer = Buffer.alloc(32);
    for (let seq = 1; seq <= 5; seq++) {
      const bytes = operation(seq, chain);
      chain = chainAfter(plain.sha256, chain, bytes);
      decode(decoded.logs, bytes);
      if (seq === 1) decode(plain.logs, bytes);
      else expect(next(plain.logs, bytes)).toBe(true);
    }
    expect(plain.logs.head).toEqual(decoded.logs.head);
    expect(plain.logs.origins.states()).toEqual(decoded.logs.origins.states());
    await plain.checks.finish();
  });

  test("is left to the decoder where it does not go on", async () => {
    const { logs, sha256 } = await begin();
    const first = operation(1, Buffer.alloc(32));
    expect(next(logs, first)).toBe(false);
    logs.follow(decodeOperation(first), first);
    const chain = chainAfter(sha256, Buffer.alloc(32), first);
    expect(next(logs, operation(3, chain))).toBe(false);
    const wrong = operation(2, Buffer.alloc(32, 7));
    expect(next(logs, wrong)).toBe(false);
    expect(() => logs.follow(decodeOperation(wrong), wrong)).toThrow("does not follow");
  });

  test("is found out later when it goes on with something else", async () => {
    const { checks, logs, sha256 } = await begin();
    const first = operation(1, Buffer.alloc(32));
    logs.follow(decodeOperation(first), first);
    expect(next(logs, operation(2, chainAfter(sha256, Buffer.alloc(32), first)))).toBe(true);
    expect(next(logs, operation(3, Buffer.alloc(32, 7)))).toBe(true);
    await expect(checks.finish()).rejects.toThrow("does not follow");
  });
});
