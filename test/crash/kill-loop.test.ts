import { rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type CrashServer,
  type End,
  MODES,
  type Mode,
  mustStart,
  type RootKey,
  readRootKey,
  start,
} from "./crash-server.ts";
import { expectSameIndexWhenRebuilt } from "./rebuild.ts";
import { report } from "./report.ts";
import {
  type Knowledge,
  NOTHING_KNOWN,
  possibleWorlds,
  repeatStep,
  runUntilGone,
} from "./run-workload.ts";
import { type Client, createClient } from "./s3-client.ts";
import { buildShim, makeScratchDirectory, readTrace, shimEnvironment, type Trace } from "./shim.ts";
import { put, succeeded, WORKLOAD } from "./workload.ts";
import { observe, readObject, type World } from "./world.ts";

/** As many servers at once as CI has processors. */
const AT_ONCE = 2;
/** Every so many kills the index is also made anew from the log and compared. */
const REBUILD_EVERY = 12;

/** To look at one kill again: CRASH_FROM=123 begins there. */
const FIRST_CALL = Number(process.env["CRASH_FROM"] ?? 1);

let shim = "";
beforeAll(async () => {
  shim = await buildShim();
});

/** One run under the shim: what its client knows, and how the process ended. */
type Run = {
  readonly knowledge: Knowledge;
  /** The root key, once the server has served with it. */
  readonly key: RootKey | undefined;
  readonly end: End;
  readonly log: string;
  readonly trace: Trace;
};

type Place = { readonly mode: Mode; readonly dataDirectory: string };

async function runKilledAt(call: number, { mode, dataDirectory }: Place): Promise<Run> {
  const stateFile = `${dataDirectory}.state`;
  const env = shimEnvironment(shim, { dataDirectory, stateFile }, { at: call });
  const started = await start({ dataDirectory, mode, env });
  if (started.outcome === "ended") {
    const { end, log } = started;
    return { knowledge: NOTHING_KNOWN, key: undefined, end, log, trace: readTrace(stateFile) };
  }
  const { server } = started;
  const key = readRootKey(dataDirectory);
  const knowledge = await runUntilGone(createClient(server, key), WORKLOAD);
  const end = await server.signal("SIGTERM");
  return { knowledge, key, end, log: server.log(), trace: readTrace(stateFile) };
}

/** Starts once more, without the shim and without a hand, and compares all that was known. */
async function checkAfterwards(run: Run, place: Place, rebuild: boolean): Promise<number> {
  const server = await mustStart(place);
  const key = readRootKey(place.dataDirectory);
  if (run.key !== undefined) expect(key, "the root key changed").toEqual(run.key);
  const client = createClient(server, key);
  const world = await observe(client);
  const possible = possibleWorlds(run.knowledge);
  const at = possible.findIndex((candidate) => isDeepStrictEqual(candidate, world));
  if (at < 0)
    expect(world, run.knowledge.underWay?.name ?? "nothing under way").toEqual(possible[0]);
  const after = await repeatStep(client, run.knowledge, at === 1);
  await expectToServe(client);
  if (!rebuild) {
    await server.signal("SIGKILL");
    return server.readyMs;
  }
  await expectSameAfterRebuild(server, place, after);
  return server.readyMs;
}

const PROBE = { bucket: "probe", key: "written afterwards" };

async function expectToServe(client: Client): Promise<void> {
  const path = `/${PROBE.bucket}`;
  expect(succeeded(await client.send({ method: "PUT", path }))).toBe(true);
  const step = put(PROBE, 5000, 77);
  expect(succeeded(await client.send(step.ask(new Map())))).toBe(true);
  expect(await readObject(client, PROBE.bucket, PROBE.key)).toMatchObject({ bytes: 5000 });
}

async function expectSameAfterRebuild(
  server: CrashServer,
  place: Place,
  known: World,
): Promise<void> {
  expect(await server.signal("SIGTERM")).toMatchObject({ status: 0 });
  await expectSameIndexWhenRebuilt(place.dataDirectory);
  const again = await mustStart(place);
  const world = await observe(createClient(again, readRootKey(place.dataDirectory)));
  const { probe, ...rest } = world;
  expect(probe?.objects[PROBE.key]).toMatchObject({ bytes: 5000 });
  expect(rest).toEqual(known);
  await again.signal("SIGKILL");
}

describe.each(MODES)("a server with %s I/O", (mode) => {
  test("needs no hand and loses nothing, killed before any system call that writes", async () => {
    const scratch = makeScratchDirectory(`kill-${mode}`);
    const failures: string[] = [];
    const startsMs: number[] = [];
    let next = FIRST_CALL;
    let kills = 0;
    let killsInStart = 0;
    let calls = Number.POSITIVE_INFINITY;

    const tryCall = async (call: number): Promise<void> => {
      const place = { mode, dataDirectory: join(scratch, String(call)) };
      let what = `call ${call}`;
      try {
        const run = await runKilledAt(call, place);
        what = run.trace.describe(call);
        if (run.end.signal !== "SIGKILL") {
          // The whole run needs fewer calls: all of them have been tried.
          calls = Math.min(calls, run.trace.calls);
          expect(run.end, run.log).toMatchObject({ status: 0 });
          expect(run.knowledge.underWay).toBeUndefined();
        } else {
          kills += 1;
          if (run.key === undefined) killsInStart += 1;
        }
        startsMs.push(await checkAfterwards(run, place, call % REBUILD_EVERY === 0));
        rmSync(place.dataDirectory, { recursive: true });
        rmSync(`${place.dataDirectory}.state`);
      } catch (failure) {
        const message = failure instanceof Error ? failure.message : String(failure);
        failures.push(`killed before ${what}: ${message}`);
      }
    };
    const worker = async (): Promise<void> => {
      while (calls === Number.POSITIVE_INFINITY && failures.length < 5) {
        const call = next;
        next += 1;
        await tryCall(call);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    report(`kill loop, ${mode}`, { kills, killsInStart, startsMs });
    expect(failures.join("\n\n")).toBe("");
    expect(kills).toBeGreaterThan(150 - FIRST_CALL);
    rmSync(scratch, { recursive: true });
  });
});
