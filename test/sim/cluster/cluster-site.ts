import { StorageFault } from "../../../src/core/faults.ts";
import type { OriginId } from "../../../src/core/names.ts";
import type { Operation } from "../../../src/core/records.ts";
import type { OriginHead } from "../../../src/storage/replica.ts";
import type { WithdrawnFrom } from "../../../src/storage/withdrawn.ts";
import { BrokenPromise } from "../store-check.ts";
import type { Told, Wish } from "./client.ts";
import type { Backup, ClusterMachine, Running, Snapshot } from "./cluster-machine.ts";
import type { LogObserver } from "./log-observer.ts";
import type { WorldTime } from "./world-time.ts";

/** What a client was told, with the stretch of the log in which it must stand. */
type Acknowledged = {
  readonly name: string;
  readonly origin: OriginId;
  readonly after: number;
  readonly upTo: number;
  readonly proof: (operation: Operation) => boolean;
  /** The site was set back to an earlier state, and others have it. */
  readonly elsewhere?: true;
};

const PUT_OFF: ReadonlySet<string> = new Set(["clock", "unreachable"]);

export type ClusterSiteDeps = {
  readonly machine: ClusterMachine;
  readonly time: WorldTime;
  readonly observer: LogObserver;
  readonly note: (event: string) => void;
  /** Called with a program that has just started, and when it ends. */
  readonly started: (running: Running) => Promise<() => void>;
};

/** A site of the cluster: its machine, the program that runs there, and what clients were told. */
export class ClusterSite {
  readonly name: string;
  readonly machine: ClusterMachine;
  readonly #deps: ClusterSiteDeps;
  readonly #flight = new Set<Promise<void>>();
  #running: Running | undefined;
  #end: () => void = () => undefined;
  #acknowledged: Acknowledged[] = [];
  #failure: unknown;
  /** What was kept of the data directory at some time. */
  backup: Backup | undefined;
  /** What the whole disk was at some time, as a virtual machine is kept. */
  snapshot: Snapshot | undefined;
  /** The origin of which others know more than this site, which was set back, and where that was. */
  fork: WithdrawnFrom | undefined;
  requests = 0;
  starts = 0;

  constructor(deps: ClusterSiteDeps) {
    this.machine = deps.machine;
    this.name = deps.machine.name;
    this.#deps = deps;
  }

  /** The program, while it runs. */
  get running(): Running | undefined {
    const running = this.#running;
    if (running === undefined) return undefined;
    // A cut that was planned has come in the middle of a step.
    if (this.machine.disk.steps.stopped) this.#ended();
    return this.#running;
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  get inFlight(): number {
    return this.#flight.size;
  }

  /** Starts the program, and again where a planned cut has caught the start. */
  async start(options: { readonly rebuildIndex?: boolean } = {}): Promise<void> {
    for (;;) {
      this.starts += 1;
      const { steps } = this.machine.disk;
      const opened = unlessStopped(this.machine.start(options), steps);
      const running = await this.#deps.time.until(
        Promise.race([opened, steps.cut.then(() => undefined)]),
        `the start of ${this.name}`,
      );
      if (running === undefined || steps.stopped) {
        this.#deps.note(`${this.name} dies as it starts`);
        this.machine.stop(running, "power");
        continue;
      }
      this.#running = running;
      const { origin } = running.site.identity;
      this.#deps.note(`${this.name} starts as ${origin}`);
      if (this.fork?.origin !== origin) this.fork = undefined;
      this.#checkKept(running);
      this.#end = await this.#deps.time.until(this.#deps.started(running), "what begins with it");
      return;
    }
  }

  stop(how: "power" | "kill"): void {
    const running = this.#running;
    this.#ended();
    this.machine.stop(running, how);
    this.#deps.note(`${this.name} ${how === "power" ? "loses its power" : "is killed"}`);
  }

  /** Does something with the program; undefined when the machine is cut meanwhile. */
  async during<Value>(
    what: string,
    work: (running: Running) => Promise<Value>,
  ): Promise<Value | undefined> {
    const { running } = this;
    if (running === undefined) return undefined;
    const { steps } = this.machine.disk;
    const done = await this.#deps.time.until(
      Promise.race([unlessStopped(work(running), steps), steps.cut]),
      `${what} at ${this.name}`,
    );
    return this.running === running ? (done as Value) : undefined;
  }

  /** Sends a request and goes on; what it is told is kept. */
  send(wish: Wish): void {
    const { running } = this;
    if (running === undefined) return;
    this.requests += 1;
    const { store, identity } = running.site;
    const { origin } = identity;
    const after = store.logHead()?.seq ?? 0;
    const { steps } = this.machine.disk;
    const work = wish
      .send(store)
      .then((told: Told) => {
        if (steps.stopped || !running.clock.alive) return;
        this.#deps.note(`${this.name}: ${wish.name}: ${told.outcome}`);
        const upTo = store.logHead()?.seq ?? 0;
        const { proof } = told;
        if (proof === undefined) return;
        this.#acknowledged.push({ name: wish.name, origin, after, upTo, proof });
      })
      .catch((failure: unknown) => {
        if (steps.stopped || !running.clock.alive) return;
        if (isPutOff(failure)) this.#deps.note(`${this.name}: ${wish.name}: not now`);
        else this.#failure ??= failure;
      })
      .finally(() => this.#flight.delete(work));
    this.#flight.add(work);
  }

  /** Throws what went wrong behind the back of whoever asked. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    const fault = this.running !== undefined ? this.#running?.faults[0] : undefined;
    if (fault !== undefined) throw new BrokenPromise(`${this.name} stopped itself: ${fault}`);
  }

  /** Waits until every request under way has been answered. */
  async settle(): Promise<void> {
    await this.during("requests", () => Promise.all(this.#flight));
    this.check();
  }

  /** The site is an older one of itself now: what it told since is not in its log. */
  forgetAll(): void {
    this.#acknowledged = [];
  }

  /**
   * A site has become an earlier one of itself. What this one told is true as far as anybody knows
   * it still.
   *
   * @param here how far this site's logs reach, if it is the one.
   */
  setBack(here: ReadonlyMap<OriginId, OriginHead> | undefined): void {
    const { observer } = this.#deps;
    this.#acknowledged = this.#acknowledged.flatMap((one): Acknowledged[] => {
      const { origin, after, upTo, proof, elsewhere } = one;
      const isHere = here === undefined ? !elsewhere : upTo <= (here.get(origin)?.seq ?? 0);
      if (isHere) return [one];
      return observer.find(origin, after, upTo, proof) ? [{ ...one, elsewhere: true }] : [];
    });
  }

  /**
   * Throws when something that a client was told of does not stand in the logs; of a site that was
   * removed, only as far as others had taken its log.
   */
  checkAcknowledged(which: "all" | "as far as taken"): void {
    const { observer } = this.#deps;
    for (const one of this.#acknowledged) {
      const { name, origin, after, upTo, proof } = one;
      const isTaken = !this.#isOfFork(one) && (observer.all.get(origin)?.length ?? 0) >= upTo;
      if (which === "as far as taken" && !isTaken) continue;
      if (observer.find(origin, after, upTo, proof)) continue;
      throw new BrokenPromise(`${this.name} has forgotten what it acknowledged: ${name}`);
    }
  }

  /** Whether it was written where others have something else, and has not been issued again. */
  #isOfFork({ origin, upTo, elsewhere }: Acknowledged): boolean {
    const { fork } = this;
    return fork?.origin === origin && upTo >= fork.from && elsewhere !== true;
  }

  /** How far an origin's log is known to clients of this site. */
  acknowledgedUpTo(origin: OriginId): number {
    let most = 0;
    for (const one of this.#acknowledged) {
      if (one.origin !== origin || one.elsewhere === true) continue;
      most = Math.max(most, one.upTo);
    }
    return most;
  }

  /** What was told of an operation that was withdrawn is true of the one issued in its place. */
  #follow({ site: { store, identity } }: Running): void {
    const { observer } = this.#deps;
    for (const { origin, from } of identity.withdrawn) {
      observer.withdraw(this.name, origin, from);
      this.#acknowledged = this.#acknowledged.map((one) => {
        if (one.origin !== origin || one.upTo < from || one.elsewhere === true) return one;
        const isBefore = observer.find(origin, one.after, from - 1, one.proof);
        if (isBefore) return { ...one, upTo: from - 1 };
        const upTo = store.logHead()?.seq ?? 0;
        return { ...one, origin: identity.origin, after: 0, upTo };
      });
    }
  }

  #checkKept(running: Running): void {
    const { store } = running.site;
    this.#follow(running);
    for (const [origin, { seq }] of store.replica.received()) {
      const told = this.acknowledgedUpTo(origin);
      if (seq >= told) continue;
      throw new BrokenPromise(`${this.name} ends at ${seq}, but had acknowledged ${told}`);
    }
    this.#deps.observer.restarted(this.name, store);
  }

  #ended(): void {
    const running = this.#running;
    if (running === undefined) return;
    running.clock.stop();
    this.#end();
    this.#end = () => undefined;
    this.#running = undefined;
    this.#flight.clear();
  }
}

/** A site whose clock has jumped takes no writes, and names no bytes that it cannot get. */
function isPutOff(failure: unknown): boolean {
  return failure instanceof StorageFault && PUT_OFF.has(failure.kind);
}

/** What a machine without power throws is of no interest: it says nothing any more. */
async function unlessStopped<Value>(
  work: Promise<Value>,
  steps: { readonly stopped: boolean },
): Promise<Value> {
  try {
    return await work;
  } catch (failure) {
    if (steps.stopped) return await new Promise<never>(() => undefined);
    throw failure;
  }
}
