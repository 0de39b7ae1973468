import type { Settings } from "../config.ts";
import { LIMITS } from "../core/limits.ts";
import { cryptoRandom } from "../ports/crypto-random.ts";
import { createHeap, type Heap } from "../ports/heap.ts";
import { openLmdb } from "../ports/kv-lmdb.ts";
import type { Log } from "../ports/log.ts";
import { createNativeHash } from "../ports/native-hash.ts";
import type { Network } from "../ports/network.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import { createNodeNetwork } from "../ports/node-network.ts";
import { createProcessFacts } from "../ports/process-facts.ts";
import { systemClock } from "../ports/system-clock.ts";
import { chooseRootKey, type RootKey } from "../storage/root-key.ts";
import { openSite, type Site, type SiteSettings } from "../storage/site.ts";
import type { SitePorts } from "../storage/site-ports.ts";
import type { TimeBounds } from "../storage/time-bounds.ts";
import { answersOnSocket } from "../tools/admin-client.ts";

/** What a site is built on, and what it reaches its peers through. */
export type WiringPorts = SitePorts & {
  readonly network: Network;
  /** From then on it grows less: what comes to an end (a start, a command) is faster without. */
  readonly openHeap: () => Heap;
};

/** The real ports: this machine's disk, clock, network and random numbers. */
export async function createPorts(log: Log): Promise<WiringPorts> {
  const network = createNodeNetwork();
  return {
    network,
    disk: createNodeDisk(),
    clock: systemClock,
    random: cryptoRandom,
    log,
    hash: await createNativeHash(),
    processFacts: createProcessFacts(),
    openKv: openLmdb,
    openHeap: createHeap,
    answers: (socketPath) => answersOnSocket(network, systemClock, socketPath),
    defer: (callback) => void setImmediate(callback),
  };
}

type Opening = Pick<SiteSettings, "socketPath" | "failStop" | "rebuildIndex" | "locked">;

/** Opens the site that the settings describe; rejects with StorageFault as `openSite` does. */
export function openFromSettings(
  ports: SitePorts,
  settings: Settings,
  opening: Opening,
): Promise<Site> {
  const { data: directory, siteName, directIo, segmentBytes, freeReserveBytes } = settings;
  const kept = { directory, siteName, directIo, segmentBytes, freeReserveBytes };
  const timeBounds = timeBoundsOf(settings);
  const { reserveFileBytes } = LIMITS;
  return openSite(ports, { ...kept, ...opening, reserveFileBytes, timeBounds });
}

function timeBoundsOf(settings: Settings): TimeBounds {
  return {
    clockDriftMs: settings.clockDriftMax,
    conflictMs: settings.conflictRetention,
    historyMs: settings.historyRetention,
    peerMs: settings.peerRetention,
  };
}

/** The root key in force: the one in the settings, else the one in the data directory. */
export function openKeys(settings: Settings, ports: SitePorts): Promise<RootKey> {
  const { rootAccessKey: id, rootSecretKey: secret, data } = settings;
  const own = id === undefined || secret === undefined ? undefined : { id, secret };
  return chooseRootKey(ports, data, own);
}
