import { createHash } from "node:crypto";
import type { Hash } from "../../src/ports/hash.ts";
import { takeCheckpoint } from "../../src/storage/recovery.ts";
import { ForeignFeed, type ForeignLog, foreignLog } from "./foreign-log.ts";
import { Seed } from "./seed.ts";
import { dumpRows, type Running, type Sabotage, SIM_DIRECTORY, SimMachine } from "./sim-machine.ts";
import { BrokenPromise, checkContents, checkHistory, checkRows, showStore } from "./store-check.ts";
import { Journal, type MarkerNames, type UploadIds } from "./store-journal.ts";
import { EMPTY_STATE, type ModelState } from "./store-model.ts";
import { Schedule } from "./store-schedule.ts";

const HOUR_MS = 3_600_000;
const IDLE_MS = 11 * 60_000;

export type ScheduleReport = {
  /** Hash of everything that happened: the same seed must give the same one. */
  readonly events: string;
  readonly operations: number;
  readonly acknowledged: number;
  readonly restarts: number;
  readonly segmentsDropped: number;
};

/** One seeded life of a site: work, crash, recover, look, and again. Throws what it finds wrong. */
export async function runSchedule(
  number: number,
  hash: Hash,
  sabotage?: Sabotage,
): Promise<ScheduleReport> {
  const settings = { sabotage, foreign: await foreignLog(hash) };
  const life = new Life(new Seed(`power-loss/${number}`), hash, settings);
  return await life.run();
}

type LifeSettings = {
  readonly sabotage: Sabotage | undefined;
  /** What another site wrote. */
  readonly foreign: ForeignLog;
};

class Life {
  readonly #seed: Seed;
  readonly #machine: SimMachine;
  readonly #hash: Hash;
  readonly #events = createHash("sha256");
  readonly #uploadIds: UploadIds = new Map();
  readonly #markerNames: MarkerNames = new Map();
  readonly #schedule: Schedule;
  #state: ModelState = EMPTY_STATE;
  #operations = 0;
  #acknowledged = 0;
  #restarts = 0;
  #dropped = 0;
  readonly #foreign: ForeignFeed | undefined;
  /** The first failure of an operation in flight. */
  #failure: unknown;

  constructor(seed: Seed, hash: Hash, settings: LifeSettings) {
    const { sabotage, foreign } = settings;
    const feeds = seed.derive("feeds");
    // Most sites have no peers: half of these lives are as they would be alone.
    this.#foreign = feeds.chance(0.5) ? new ForeignFeed(foreign, seed.derive("feed")) : undefined;
    this.#seed = seed.derive("life");
    this.#hash = hash;
    this.#machine = new SimMachine(seed.derive("machine"), {
      hash,
      directIo: this.#seed.chance(0.5) ? "on" : "off",
      segmentBytes: this.#seed.pick([16, 64, 256]) * 1024,
      ...(sabotage === undefined ? {} : { sabotage }),
    });
    this.#schedule = new Schedule(seed.derive("schedule"), this.#uploadIds);
  }

  async run(): Promise<ScheduleReport> {
    const lives = 1 + this.#seed.int(4);
    let running = await this.#start();
    for (let life = 0; life < lives; life++) {
      const entries = await this.#live(running);
      running = await this.#recover();
      await this.#look(running, entries);
      if (life === lives - 1 || this.#seed.chance(0.3)) running = await this.#rebuild(running);
    }
    await running.site.close();
    return {
      events: this.#events.digest("hex"),
      operations: this.#operations,
      acknowledged: this.#acknowledged,
      restarts: this.#restarts,
      segmentsDropped: this.#dropped,
    };
  }

  /** Works until the machine stops: at a step chosen before, or when the work is done. */
  async #live(running: Running): Promise<Journal["entries"]> {
    const { disk } = this.#machine;
    const journal = new Journal(running.site.store, this.#uploadIds, this.#markerNames);
    this.#foreign?.begin();
    const operations = 5 + this.#seed.int(60);
    if (this.#seed.chance(0.8)) {
      disk.steps.cutPowerAt(disk.steps.steps + 1 + this.#seed.int(operations * 5), { hang: true });
    }
    const work = this.#work(running, journal, operations).catch((failure: unknown) => {
      // What a machine without power throws is of no interest to anybody.
      if (!disk.steps.stopped) throw failure;
    });
    await Promise.race([work, disk.steps.cut]);
    // What was answered before the cut is on its way to whoever waits.
    await turn();
    const entries = journal.entries.map((entry) => ({ ...entry }));
    this.#operations += entries.length;
    this.#acknowledged += entries.filter((entry) => entry.outcome !== undefined).length;
    this.#note(entries.map((entry) => `${entry.operation.kind}=${entry.outcome}`).join());
    return entries;
  }

  async #work(running: Running, journal: Journal, operations: number): Promise<void> {
    const { disk } = this.#machine;
    const flight = new Set<Promise<void>>();
    const most = this.#seed.pick([1, 3, 8]);
    const checkpointAt = this.#seed.chance(0.2) ? this.#seed.int(operations) : -1;
    // A site without its bucket would answer nothing but refusals.
    await journal.perform({ operation: { kind: "create-bucket", bucket: "alpha" } });
    for (let count = 0; count < operations && !disk.steps.stopped; count++) {
      const planned = this.#schedule.next(journal);
      const alone = planned.operation.kind === "append" || planned.operation.kind === "rename";
      // These look at the object before they are handed over: the model knows no order for that.
      if (alone) await Promise.all(flight);
      this.#fly(flight, journal.perform(planned));
      if (alone) await Promise.all(flight);
      if (this.#seed.chance(0.08)) this.#fly(flight, this.#keepHouse(running));
      if (this.#foreign !== undefined && count % 3 === 0) {
        this.#fly(flight, this.#foreign.feed(running.site.store));
      }
      if (count === checkpointAt) this.#fly(flight, this.#checkpoint(running));
      while (flight.size >= most) await Promise.race(flight);
      if (this.#failure !== undefined) throw this.#failure;
      for (let turns = this.#seed.int(3); turns > 0; turns--) await turn();
    }
    await Promise.all(flight);
    if (this.#failure !== undefined) throw this.#failure;
    if (running.faults.length > 0) throw new BrokenPromise(`stopped itself: ${running.faults[0]}`);
    if (this.#seed.chance(0.3)) await running.site.close();
  }

  #fly(flight: Set<Promise<void>>, work: Promise<void>): void {
    const { disk } = this.#machine;
    const ended = work
      .catch((failure: unknown) => {
        if (!disk.steps.stopped) this.#failure ??= failure;
      })
      .finally(() => flight.delete(ended));
    flight.add(ended);
  }

  async #keepHouse({ site }: Running): Promise<void> {
    for (let times = 0; times < 3; times++) {
      const report = await site.store.keepHouse();
      this.#dropped += report.segmentsDropped;
      if (this.#seed.chance(0.5)) this.#machine.clock.leap(IDLE_MS);
    }
  }

  async #checkpoint({ kv }: Running): Promise<void> {
    await takeCheckpoint(this.#machine.disk, kv, `${SIM_DIRECTORY}/checkpoint`);
  }

  /** Power cut or kill, and starts until one of them gets through. */
  async #recover(): Promise<Running> {
    for (let attempt = 0; ; attempt++) {
      const power = this.#seed.chance(0.7);
      if (power) this.#machine.cutPower();
      else this.#machine.kill();
      this.#note(power ? "the power is cut" : "the process is killed");
      const { disk } = this.#machine;
      if (attempt < 4 && this.#seed.chance(0.35)) {
        disk.steps.cutPowerAt(1 + this.#seed.int(70), { hang: true });
      }
      const running = await Promise.race([this.#startOrLose(), disk.steps.cut]);
      if (running === undefined || disk.steps.stopped) continue;
      disk.steps.cutPowerAt(Number.POSITIVE_INFINITY);
      return running;
    }
  }

  async #start(options: { rebuildIndex?: boolean } = {}): Promise<Running> {
    this.#restarts += 1;
    const { disk, clock } = this.#machine;
    disk.steps.onStep((call) => this.#note(`${call.kind} ${call.path}`));
    clock.leap(this.#seed.int(HOUR_MS / 10));
    if (this.#seed.chance(0.1)) clock.jump(-this.#seed.int(HOUR_MS));
    return await this.#machine.open(options);
  }

  async #startOrLose(): Promise<Running | undefined> {
    const { disk } = this.#machine;
    try {
      return await this.#start();
    } catch (failure) {
      if (disk.steps.stopped) return undefined;
      throw failure;
    }
  }

  async #look({ site }: Running, entries: Journal["entries"]): Promise<void> {
    await this.#foreign?.look(site.store);
    for (const { name } of site.store.buckets()) {
      const cursor = site.store.uploads(name);
      for (let upload = cursor.next(); upload !== undefined; upload = cursor.next()) {
        this.#uploadIds.set(upload.initiator, upload.uploadId);
      }
    }
    const shown = showStore(site.store, this.#uploadIds);
    this.#note(shown);
    const keepsForOthers = this.#foreign !== undefined;
    this.#state = checkHistory(this.#state, entries, shown, { keepsForOthers });
    await checkContents(site, this.#state, entries);
  }

  /** The index that was kept and the one made from the log alone are the same, row for row. */
  async #rebuild(running: Running): Promise<Running> {
    const kept = dumpRows(running.kv, this.#hash);
    this.#machine.kill();
    const rebuilt = await this.#start({ rebuildIndex: true });
    checkRows(kept, dumpRows(rebuilt.kv, this.#hash));
    await this.#look(rebuilt, []);
    return rebuilt;
  }

  #note(event: string): void {
    if (process.env["SIM_EVENTS"] !== undefined) process.stdout.write(`${event.slice(0, 200)}\n`);
    this.#events.update(event).update("\n");
  }
}

/** Every so many schedules one is run twice, to see that it replays. */
const TWICE_EVERY = 50;
const FAILURES_SHOWN = 5;

/**
 * Runs schedules one after another; SIM_SEED runs a single one instead, and SIM_EVENTS shows what
 * happens in it. Throws what was found wrong, with the line that replays it.
 */
export async function provePowerLoss(hash: Hash, first: number, count: number): Promise<void> {
  const only = process.env["SIM_SEED"];
  const numbers = only === undefined ? range(first, count) : [Number(only)];
  const failures: string[] = [];
  const sum = { operations: 0, acknowledged: 0, restarts: 0, segmentsDropped: 0 };
  for (const number of numbers) {
    try {
      const report = await runSchedule(number, hash);
      sum.operations += report.operations;
      sum.acknowledged += report.acknowledged;
      sum.restarts += report.restarts;
      sum.segmentsDropped += report.segmentsDropped;
      if (number % TWICE_EVERY !== 0) continue;
      const again = await runSchedule(number, hash);
      if (again.events !== report.events) throw new BrokenPromise("a second run went another way");
    } catch (failure) {
      failures.push(`${replayLine(number)}\n  ${failure}`);
      if (failures.length >= FAILURES_SHOWN) break;
    }
  }
  process.stdout.write(`power loss: ${numbers.length} schedules, ${JSON.stringify(sum)}\n`);
  if (failures.length > 0) throw new BrokenPromise(failures.join("\n"));
}

function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function replayLine(number: number): string {
  return `SIM_SEED=${number} npx vitest run --project sim test/sim/power-loss-1.test.ts`;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
