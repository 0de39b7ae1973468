import type { LoadedSettings, Settings } from "../config.ts";
import { StorageFault } from "../core/faults.ts";
import { hlcFromMs } from "../core/hlc.ts";
import { UsageError } from "../core/usage-error.ts";
import type { Disk } from "../ports/disk.ts";
import { createNodeDisk } from "../ports/node-disk.ts";
import { createNodeNetwork } from "../ports/node-network.ts";
import { createPinoLog } from "../ports/pino-log.ts";
import { createProcessFacts } from "../ports/process-facts.ts";
import { systemClock } from "../ports/system-clock.ts";
import { type OperationsAhead, operationsAhead } from "../storage/ahead-of-clock.ts";
import { readLockHolder } from "../storage/data-lock.ts";
import { noteWithdrawing, SITE_FILE } from "../storage/site-identity.ts";
import { type AdminClient, answersOnSocket, connectAdminSocket } from "../tools/admin-client.ts";
import { explain } from "../tools/output.ts";
import { createAdmin } from "./admin.ts";
import { createPorts, openFromSettings, openKeys } from "./site.ts";

/** The administration of the server that runs on a directory, undefined when none does. */
export async function findServer(directory: string): Promise<AdminClient | undefined> {
  const found = await askHolder(directory);
  return found === "silent" || found === "elsewhere" ? undefined : found;
}

/** Who answers where the LOCK of a directory points: its server, that of another one, or nobody. */
async function askHolder(directory: string): Promise<AdminClient | "elsewhere" | "silent"> {
  const network = createNodeNetwork();
  const disk = createNodeDisk();
  const holder = await readLockHolder(disk, directory);
  if (holder?.socketPath === undefined) return "silent";
  if (!(await answersOnSocket(network, systemClock, holder.socketPath))) return "silent";
  const client = connectAdminSocket(network, holder.socketPath);
  const { data } = (await client.call("GET", "status")).body;
  const isOther = typeof data === "string" && (await areOthers(disk, directory, data));
  if (!isOther) return client;
  await client.close();
  return "elsewhere";
}

/**
 * Whether two paths lead to two directories: a copy that was made while a server ran has its LOCK,
 * and whoever names the copy must not change the original. A path that leads nowhere here is what
 * a server in a container calls the same one.
 */
async function areOthers(disk: Disk, directory: string, served: string): Promise<boolean> {
  const [here, there] = [await disk.stat(directory), await disk.stat(served)];
  if (here?.kind !== "directory" || there?.kind !== "directory") return false;
  return here.device !== there.device || here.inode !== there.inode;
}

/** Why there is no server to ask, for the operator. */
export async function noServer(directory: string): Promise<StorageFault> {
  const holder = await readLockHolder(createNodeDisk(), directory);
  const found = await askHolder(directory);
  if (found === "elsewhere") {
    const message = `no server runs on ${directory}: its LOCK is that of a server elsewhere`;
    return new StorageFault("unreachable", message, {
      hint: "It is a copy, made while that server ran. Only of a copy LOCK may be removed.",
    });
  }
  if (found !== "silent") {
    await found.close();
    return new StorageFault("unreachable", `the server on ${directory} was too slow to answer`, {
      hint: "It answers now: try again.",
    });
  }
  if (holder !== undefined && createProcessFacts().isAlive(holder)) {
    const message = `process ${holder.pid} has ${directory} and does not answer`;
    return new StorageFault("unreachable", message, {
      hint: "It is a server that stands still, or a command that works on the directory itself.",
    });
  }
  return new StorageFault("unreachable", `no server runs on ${directory}`, {
    hint: "Start one with `atoll serve`, or name another directory with --data.",
  });
}

/** Opens a site that exists for one command, under LOCK. */
export async function openForCommand(settings: Settings, rebuildIndex: boolean) {
  // Results go to standard output, so that lines for the operator must not.
  const log = createPinoLog({ level: "warn", pretty: true, destination: process.stderr });
  const ports = await createPorts(log);
  if ((await ports.disk.stat(`${settings.data}/${SITE_FILE}`)) === undefined) {
    throw new UsageError(
      `There is no site in ${settings.data}.`,
      "Name its directory with --data, or make one with `atoll serve`.",
    );
  }
  const failStop = (fault: StorageFault): void => log.error({}, explain(fault));
  const site = await openFromSettings(ports, settings, {
    socketPath: undefined,
    rebuildIndex,
    failStop,
  });
  const close = async (): Promise<void> => {
    await site.close();
    await ports.hash.close();
  };
  return { ports, site, close };
}

/** The site's own administration, under LOCK, until it is closed. */
export async function openOffline(loaded: LoadedSettings, version: string): Promise<AdminClient> {
  const { ports, site, close } = await openForCommand(loaded.settings, false);
  const rootKey = await openKeys(loaded.settings, ports);
  const admin = createAdmin({
    ...{ version, loaded, ports, site, rootKey, endpoint: undefined },
    state: () => "offline",
    replication: () => undefined,
    routes: () => [],
  });
  return {
    call: (method, path, body) => admin.call({ method, path: `/v1/admin/${path}`, body }),
    close,
  };
}

/**
 * Issues again what the site wrote while its clock was ahead, with times of now. Gives what the
 * operator is told.
 */
export async function reissueAhead(settings: Settings): Promise<Readonly<Record<string, unknown>>> {
  const { ports, site, close } = await openForCommand(settings, false);
  const nowMs = ports.clock.nowMs();
  let ahead: OperationsAhead;
  try {
    const limit = hlcFromMs(nowMs + settings.clockDriftMax);
    ahead = await operationsAhead(site.store.replica, limit);
    const { from } = ahead;
    if (from.length > 0) {
      const { disk } = ports;
      await noteWithdrawing(disk, settings.data, site.identity, { from, times: "new" });
    }
  } finally {
    await close();
  }
  // The next opening does it, as it would after a kill.
  if (ahead.from.length > 0) await (await openForCommand(settings, false)).close();
  const { operations, latestMs } = ahead;
  const latest = latestMs === undefined ? {} : { latest: new Date(latestMs).toISOString() };
  return { operations, clock: new Date(nowMs).toISOString(), ...latest };
}
