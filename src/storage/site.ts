import { errnoOf, StorageFault } from "../core/faults.ts";
import { type BootMark, isSameMount, readBootMark, writeBootMark } from "./boot-mark.ts";
import type { ClockGuard } from "./clock-guard.ts";
import { type DataDir, openDataDir } from "./data-dir.ts";
import { probeWriteMode } from "./direct-io.ts";
import { LifecycleSchedule } from "./lifecycle/lifecycle-schedule.ts";
import { type OpenedStore, openStore, type StoreSettings } from "./open-store.ts";
import { isIndexTrusted } from "./recovery.ts";
import { type ReissueSettings, reissueWithdrawn } from "./reissue.ts";
import type { SiteIdentity } from "./site-identity.ts";
import type { SitePorts } from "./site-ports.ts";
import type { Store } from "./store.ts";
import type { TimeBounds } from "./time-bounds.ts";
import type { WriteHold } from "./write-hold.ts";

export type SiteSettings = {
  /** Absolute path of the data directory. */
  readonly directory: string;
  readonly siteName: string | undefined;
  readonly socketPath: string | undefined;
  /** Called once the directory is this process's; gives what to do before it is given up. */
  readonly locked?: () => Promise<() => Promise<void>>;
  readonly directIo: "auto" | "on" | "off";
  readonly segmentBytes: number;
  /** Undefined: 1 GiB or 2 % of the disk, the smaller. */
  readonly freeReserveBytes: number | undefined;
  /** Space set aside in a file for deletes and starts on a full disk; none unless given. */
  readonly reserveFileBytes?: number;
  /** What differs from the defaults. */
  readonly timeBounds?: Partial<TimeBounds>;
  /** Throws the index away and makes it from the log alone. */
  readonly rebuildIndex?: boolean;
  /** Told once when nothing can be promised any more: stop serving, exit non-zero. */
  readonly failStop: (fault: StorageFault) => void;
};

/** A site that is open: its data directory is locked, its index is up to date. */
export type Site = {
  readonly store: Store;
  readonly lifecycle: LifecycleSchedule;
  readonly identity: SiteIdentity;
  readonly dataDir: DataDir;
  /** Watches the wall clock, once replication arms it. */
  readonly guard: ClockGuard;
  /** Lets writes of clients wait. */
  readonly hold: WriteHold;
  /** Grows whenever something has changed here, once readers of the index see it. */
  readonly activity: () => number;
  /** How the start went, for the log and the operator. */
  readonly opening: { readonly replayedOperations: number; readonly directIo: boolean };
  /** Ends writes under way, syncs, marks a clean shutdown, gives up the lock. */
  close(): Promise<void>;
};

/** How often the house is looked after; a look at an idle one reads nothing from the disk. */
const HOUSE_INTERVAL_MS = 10_000;

/**
 * Opens a site for the server, for offline commands and for tests alike.
 *
 * @throws StorageFault "locked", "unsupported", "corrupt", "disk-full" or "io", with a hint for the
 * operator.
 */
export async function openSite(ports: SitePorts, settings: SiteSettings): Promise<Site> {
  try {
    const dataDir = await openDataDir(ports, settings);
    let leave: (() => Promise<void>) | undefined;
    const release = async (): Promise<void> => {
      await leave?.();
      await dataDir.release();
    };
    try {
      leave = await settings.locked?.();
      return await openLocked(ports, settings, { ...dataDir, release });
    } catch (failure) {
      await release();
      throw failure;
    }
  } catch (failure) {
    if (errnoOf(failure) !== "ENOSPC") throw failure;
    const hint = "Free space on the disk of the data directory; nothing there is lost.";
    throw new StorageFault("disk-full", "the disk is full to the last byte", {
      hint,
      cause: failure,
    });
  }
}

type MarkChange = Pick<BootMark, "clean" | "failedStarts" | "logEnd"> & Partial<BootMark>;

async function openLocked(
  ports: SitePorts,
  settings: SiteSettings,
  dataDir: DataDir,
): Promise<Site> {
  const { directory } = dataDir;
  const mark = await readBootMark(ports.disk, directory);
  const here = { bootId: ports.processFacts.self.bootId, fileSystem: dataDir.fileSystem };
  const trusted = isIndexTrusted(mark, (before) => isSameMount(before, here));
  const setMark = (change: MarkChange) =>
    writeBootMark(ports.disk, directory, { ...here, ...change });
  // From here until the end of recovery a start counts as failed; two in a row rebuild the index.
  // An index that is not believed now must not be by the next start either, should this one die
  // before it has made a new one: so the mark names no boot until then.
  const started = {
    clean: false,
    failedStarts: (mark?.failedStarts ?? 0) + 1,
    ...(trusted ? {} : { bootId: undefined }),
  };
  await setMark({ ...started, logEnd: mark?.logEnd });
  const writeMode = await probeWriteMode(ports, directory, settings.directIo);
  let failed = false;
  const failStop = (fault: StorageFault): void => {
    failed = true;
    settings.failStop(fault);
  };
  const opening: Omit<StoreSettings, "identity" | "belief"> = {
    ...{ directory, writeMode, ...shapeOf(settings) },
    knownEnd: mark?.logEnd,
    noteEnd: (logEnd) => setMark({ ...started, logEnd }),
    failStop,
  };
  const belief = trusted ? "trusted" : "untrusted";
  const identity = await identityNow(ports, { ...opening, belief }, dataDir.identity);
  const opened = await openStore(ports, {
    ...{ ...opening, identity },
    belief: settings.rebuildIndex === true ? "rebuild" : belief,
  });
  await setMark({ clean: false, failedStarts: 0, logEnd: opened.logEnd() });
  const stopHouse = keepHouseRegularly(ports, opened);
  const lifecycle = startLifecycle(ports, opened);
  const close = async (): Promise<void> => {
    stopHouse();
    await lifecycle.stop();
    try {
      await opened.store.close();
      // After a failure nobody knows what the index holds: the next start must look for itself.
      if (!failed) await setMark({ clean: true, failedStarts: 0, logEnd: opened.logEnd() });
    } finally {
      await dataDir.release();
    }
  };
  const { store, guard, hold, activity, replayedOperations } = opened;
  const start = { replayedOperations, directIo: writeMode === "direct" };
  const parts = { store, lifecycle, identity, dataDir: { ...dataDir, identity } };
  return { ...parts, guard, hold, activity, opening: start, close };
}

function shapeOf({ segmentBytes, freeReserveBytes, ...rest }: SiteSettings) {
  const { reserveFileBytes = 0, timeBounds = {} } = rest;
  return { segmentBytes, freeReserveBytes, reserveFileBytes, timeBounds };
}

/** Who the site is: another incarnation than before, when operations had to be withdrawn. */
async function identityNow(
  ports: SitePorts,
  opening: Omit<StoreSettings, "identity">,
  identity: SiteIdentity,
): Promise<SiteIdentity> {
  const { withdrawing } = identity;
  if (withdrawing === undefined) return identity;
  const { directory } = opening;
  const open: ReissueSettings["open"] = (former, withdrawals) => {
    // What is issued again keeps its times, also those of a clock that was ahead: peers judge them.
    const timeBounds = { ...opening.timeBounds, clockDriftMs: Number.POSITIVE_INFINITY };
    const anew = withdrawals && { withdrawals, timeBounds, belief: "rebuild" as const };
    return openStore(ports, { ...opening, identity: former, ...anew });
  };
  return reissueWithdrawn(ports, { directory, open }, { identity, withdrawing });
}

function startLifecycle({ clock, log }: SitePorts, opened: OpenedStore): LifecycleSchedule {
  const { store, activity, guard } = opened;
  const refusal = () => guard.refusal();
  const lifecycle = new LifecycleSchedule({ store, clock, log, activity, refusal });
  lifecycle.start();
  return lifecycle;
}

function keepHouseRegularly(ports: SitePorts, { store, isAtRest }: OpenedStore): () => void {
  let cancel = ports.clock.after(HOUSE_INTERVAL_MS, look);
  let stopped = false;
  function look(): void {
    if (isAtRest()) {
      cancel = ports.clock.after(HOUSE_INTERVAL_MS, look);
      return;
    }
    store
      .keepHouse()
      .catch((failure: unknown) => {
        const message = failure instanceof Error ? failure.message : String(failure);
        if (!stopped)
          ports.log.warn({ failure: message }, "housekeeping failed; it is tried again");
      })
      .finally(() => {
        if (!stopped) cancel = ports.clock.after(HOUSE_INTERVAL_MS, look);
      });
  }
  return () => {
    stopped = true;
    cancel();
  };
}
