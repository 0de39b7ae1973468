import { rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { type End, type Mode, mustStart, readRootKey, start } from "./crash-server.ts";
import { report } from "./report.ts";
import { type Knowledge, NOTHING_KNOWN, possibleWorlds, repeatStep } from "./run-workload.ts";
import { type Client, createClient, NoAnswer } from "./s3-client.ts";
import { buildShim, makeScratchDirectory, readTrace, shimEnvironment, type Trace } from "./shim.ts";
import { type Memory, SHORT_WORKLOAD, succeeded, worldAfter } from "./workload.ts";
import { observe, type World } from "./world.ts";

/** As many servers at once as CI has processors. */
const AT_ONCE = 2;
/** To look at one fault again: CRASH_FROM=123 begins there. */
const FIRST_CALL = Number(process.env["CRASH_FROM"] ?? 1);

const { EIO, ENOSPC } = constants.errno;

let shim = "";
beforeAll(async () => {
  shim = await buildShim();
});

type Run = {
  readonly knowledge: Knowledge;
  readonly refused: number;
  readonly end: End;
  readonly log: string;
  readonly trace: Trace;
};

/** What a client does that repeats what is refused, once: a single fault excuses no second. */
async function runWithOneRefusal(
  client: Client,
): Promise<Knowledge & { readonly refused: number }> {
  const memory: Memory = new Map();
  let before: World = {};
  let refused = 0;
  for (const step of SHORT_WORKLOAD) {
    try {
      let answer = await client.send(step.ask(memory));
      if (answer.status >= 500 && refused === 0) {
        refused += 1;
        answer = await client.send(step.ask(memory));
      }
      // Refused again: the process is about to end, and what came of the step is not known.
      if (answer.status >= 500) return { before, underWay: step, memory, refused };
      if (!succeeded(answer)) throw new Error(`${step.name}: ${answer.status} ${answer.code}`);
      step.learn?.(answer, memory);
    } catch (failure) {
      if (failure instanceof NoAnswer) return { before, underWay: step, memory, refused };
      throw failure;
    }
    before = worldAfter(before, step);
  }
  return { before, underWay: undefined, memory, refused };
}

type Place = { readonly mode: Mode; readonly dataDirectory: string };

async function runFailingAt(call: number, errno: number, place: Place): Promise<Run> {
  const { dataDirectory } = place;
  const stateFile = `${dataDirectory}.state`;
  const env = shimEnvironment(shim, { dataDirectory, stateFile }, { at: call, errno });
  const started = await start({ ...place, env });
  if (started.outcome === "ended") {
    const { end, log } = started;
    return { knowledge: NOTHING_KNOWN, refused: 0, end, log, trace: readTrace(stateFile) };
  }
  const { server } = started;
  const client = createClient(server, readRootKey(dataDirectory));
  const { refused, ...knowledge } = await runWithOneRefusal(client);
  const { underWay } = knowledge;
  const end = await (underWay === undefined ? server.signal("SIGTERM") : server.endsByItself());
  return { knowledge, refused, end, log: server.log(), trace: readTrace(stateFile) };
}

/**
 * lmdb-js 3.5.6 answers a failed call on its files with damage to its own heap: sometimes it dies
 * where it should throw, sometimes later, when the process ends because of the failure. All that can
 * be asked for then is that nothing is lost and that the next start needs no hand.
 */
const INDEX_FILE = / index\/(data|lock)\.mdb$/;
const NATIVE_DEATHS: readonly (string | undefined)[] = ["SIGSEGV", "SIGABRT"];

function isNativeDeath({ end, trace }: Run, call: number): boolean {
  return NATIVE_DEATHS.includes(end.signal) && INDEX_FILE.test(trace.describe(call));
}

/** A process that gave up says why, in words for the operator. */
function expectClearEnd({ end, log }: Run): void {
  expect(end.signal, log).toBeUndefined();
  if (end.status !== 0) expect(log).toMatch(/^atoll serve: .|"msg":"stopped: .*"\}$/m);
}

async function expectNothingLost(run: Run, place: Place): Promise<void> {
  const server = await mustStart(place);
  const client = createClient(server, readRootKey(place.dataDirectory));
  const world = await observe(client);
  const possible = possibleWorlds(run.knowledge);
  const at = possible.findIndex((candidate) => isDeepStrictEqual(candidate, world));
  if (at < 0) expect(world).toEqual(possible[0]);
  await repeatStep(client, run.knowledge, at === 1);
  await server.signal("SIGKILL");
}

test.each([
  { name: "EIO", errno: EIO, mode: "direct", firstCall: 1, faultsMin: 110 },
  // From the making of the index on: what is before takes the same path as with EIO.
  { name: "ENOSPC", errno: ENOSPC, mode: "buffered", firstCall: 30, faultsMin: 55 },
] as const)("one $name, whichever call fails with it, loses nothing ($mode I/O)", async (fault) => {
  const { name, errno, mode } = fault;
  const scratch = makeScratchDirectory(name);
  const failures: string[] = [];
  const figures = { faults: 0, refusals: 0, stops: 0, unnoticed: 0, nativeDeaths: 0 };
  let next = Math.max(FIRST_CALL, fault.firstCall);
  let calls = Number.POSITIVE_INFINITY;

  const tryCall = async (call: number): Promise<void> => {
    const place = { mode, dataDirectory: join(scratch, String(call)) };
    let what = `call ${call}`;
    try {
      const run = await runFailingAt(call, errno, place);
      what = run.trace.describe(call);
      if (run.trace.calls < call) {
        // The whole run needs fewer calls: all of them have been tried.
        calls = run.trace.calls;
        expect(run.end, run.log).toMatchObject({ status: 0 });
      } else {
        figures.faults += 1;
        if (run.refused > 0) figures.refusals += 1;
        if (run.end.status !== 0) figures.stops += 1;
        if (run.refused === 0 && run.end.status === 0) figures.unnoticed += 1;
      }
      await expectNothingLost(run, place);
      if (isNativeDeath(run, call)) figures.nativeDeaths += 1;
      else expectClearEnd(run);
      rmSync(place.dataDirectory, { recursive: true });
    } catch (failure) {
      const message = failure instanceof Error ? failure.message : String(failure);
      failures.push(`${name} at ${what}: ${message}`);
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
  report(`single faults, ${name}, ${mode}`, figures);
  expect(failures.join("\n\n")).toBe("");
  expect(figures.faults).toBeGreaterThan(fault.faultsMin - FIRST_CALL);
  rmSync(scratch, { recursive: true });
});
