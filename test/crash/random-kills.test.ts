import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { Seed } from "../sim/seed.ts";
import { MODES, mustStart, readRootKey } from "./crash-server.ts";
import { expectSameIndexWhenRebuilt } from "./rebuild.ts";
import { report } from "./report.ts";
import { type Ask, type Client, createClient, NoAnswer } from "./s3-client.ts";
import { makeScratchDirectory } from "./shim.ts";
import { succeeded } from "./workload.ts";
import { md5, observe, pathOf, type StoredObject } from "./world.ts";

/** Another seed: CRASH_SEED=2. */
const SEED = new Seed(`random kills/${process.env["CRASH_SEED"] ?? "1"}`);
const ROUNDS = 20;
const CONNECTIONS = 16;
const KEYS_EACH = 8;
const BUCKET = "crowded";
/** Small ones share a batch, larger ones have chunks. */
const SIZES = [0, 100, 4096, 4096, 60_000, 131_072, 131_073, 700_000, 1_300_000];

/** What a key may hold: what was acknowledged, and what was sent after it without an answer. */
type Possible = ReadonlyArray<StoredObject | undefined>;
type Expected = Map<string, Possible>;

type Change = {
  readonly key: string;
  readonly ask: Ask;
  readonly result: StoredObject | undefined;
};

function pickChange(seed: Seed, connection: number, expected: Expected): Change {
  const key = `connection-${connection}/${seed.int(KEYS_EACH)}`;
  const path = pathOf(BUCKET, key);
  const from = `connection-${connection}/${seed.int(KEYS_EACH)}`;
  const source = expected.get(from)?.[0];
  const kind = seed.fraction();
  if (kind < 0.15) return { key, ask: { method: "DELETE", path }, result: undefined };
  if (kind < 0.25 && source !== undefined && from !== key) {
    const headers = { "X-Amz-Copy-Source": pathOf(BUCKET, from) };
    return { key, ask: { method: "PUT", path, headers }, result: source };
  }
  const body = seed.bytes(seed.pick(SIZES));
  const result = { etag: md5(body), bytes: body.length, md5: md5(body) };
  return { key, ask: { method: "PUT", path, body }, result };
}

/** One connection's writes, one after the other, until the server is gone. */
async function write(
  client: Client,
  { seed, connection, expected }: { seed: Seed; connection: number; expected: Expected },
  acknowledged: () => void,
): Promise<void> {
  for (;;) {
    const { key, ask, result } = pickChange(seed, connection, expected);
    const before = expected.get(key)?.[0];
    expected.set(key, [before, result]);
    try {
      const answer = await client.send(ask);
      if (!succeeded(answer))
        throw new Error(`${ask.method} ${key}: ${answer.status} ${answer.code}`);
    } catch (failure) {
      if (failure instanceof NoAnswer) return;
      throw failure;
    }
    expected.set(key, [result]);
    acknowledged();
  }
}

/** Compares all keys, and takes what was undecided as it is found. */
async function verify(client: Client, expected: Expected): Promise<void> {
  const found = (await observe(client))[BUCKET]?.objects ?? {};
  const wrong: string[] = [];
  for (const [key, possible] of expected) {
    const value = found[key];
    if (!possible.some((candidate) => isDeepStrictEqual(candidate, value))) {
      wrong.push(`${key} is ${JSON.stringify(value)} and not ${JSON.stringify(possible)}`);
    }
    expected.set(key, [value]);
  }
  for (const key of Object.keys(found)) if (!expected.has(key)) wrong.push(`${key} was never sent`);
  expect(wrong).toEqual([]);
}

test(`${CONNECTIONS} writers lose nothing in ${ROUNDS} kills at random moments`, async () => {
  const dataDirectory = makeScratchDirectory("random");
  const expected: Expected = new Map();
  const startsMs: number[] = [];
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const seed = SEED.derive(round);
    const server = await mustStart({ dataDirectory, mode: seed.pick(MODES) });
    startsMs.push(server.readyMs);
    const client = createClient(server, readRootKey(dataDirectory));
    if (round === 0) await client.send({ method: "PUT", path: pathOf(BUCKET) });
    else await verify(client, expected);
    // Counted in answers rather than in time, so that a slow machine is killed as busy as a fast.
    let left = 20 + seed.int(300);
    let killed: Promise<unknown> | undefined;
    const count = (): void => {
      acknowledged += 1;
      left -= 1;
      if (left !== 0) return;
      killed = sleep(seed.int(10)).then(() => server.signal("SIGKILL"));
    };
    const writers = Array.from({ length: CONNECTIONS }, (_, connection) =>
      write(client, { seed: seed.derive(connection), connection, expected }, count),
    );
    await Promise.all(writers);
    await killed;
    expect((await server.ended).signal, server.log()).toBe("SIGKILL");
  }
  const last = await mustStart({ dataDirectory, mode: "direct" });
  startsMs.push(last.readyMs);
  const client = createClient(last, readRootKey(dataDirectory));
  await verify(client, expected);
  expect(await last.signal("SIGTERM")).toMatchObject({ status: 0 });
  await expectSameIndexWhenRebuilt(dataDirectory);
  report("random kills", { rounds: ROUNDS, acknowledged, startsMs });
  rmSync(dataDirectory, { recursive: true });
});
