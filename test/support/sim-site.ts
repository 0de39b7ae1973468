import type { Hash } from "../../src/ports/hash.ts";
import type { Store } from "../../src/storage/store.ts";
import { Seed } from "../sim/seed.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { type Running, SIM_DIRECTORY, SimMachine } from "../sim/sim-machine.ts";

const opened: SimSite[] = [];

/** Closes every site that a test has opened. */
export async function closeSimSites(): Promise<void> {
  for (const { running } of opened.splice(0)) await running.site.close();
}

/** A site on a simulated machine of its own, with identities of its own. */
export class SimSite {
  readonly machine: SimMachine;
  readonly hash: Hash;
  running: Running;

  constructor(machine: SimMachine, hash: Hash, running: Running) {
    this.machine = machine;
    this.hash = hash;
    this.running = running;
  }

  static async open(name: string): Promise<SimSite> {
    const hash = await createInlineHash();
    const settings = { hash, directIo: "on", segmentBytes: 64 * 1024 } as const;
    const machine = new SimMachine(new Seed(name), settings);
    const site = new SimSite(machine, hash, await machine.open());
    opened.push(site);
    return site;
  }

  /** Its data directory on the simulated disk. */
  readonly directory = SIM_DIRECTORY;

  get store(): Store {
    return this.running.site.store;
  }

  get kv(): Running["kv"] {
    return this.running.kv;
  }

  async restart(rebuildIndex = false): Promise<void> {
    await this.running.site.close();
    this.running = await this.machine.open({ rebuildIndex });
  }
}
