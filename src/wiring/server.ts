import { type LoadedSettings, runtimeDirectory, type Settings } from "../config.ts";
import { createAdminHandler } from "../control/admin-handler.ts";
import { adminSocketPath } from "../control/admin-socket.ts";
import {
  type ControlDeps,
  type ControlService,
  createControlService,
} from "../control/control-service.ts";
import { RequestStats } from "../control/request-stats.ts";
import { startWarnings } from "../control/start-warnings.ts";
import type { SiteState } from "../control/stats.ts";
import { StorageFault } from "../core/faults.ts";
import { hlcMs } from "../core/hlc.ts";
import type { Exchange, HttpHandler, HttpServer } from "../http/exchange.ts";
import type { PeerServer } from "../replication/peer-server.ts";
import type { ReplicationWatch } from "../replication/status.ts";
import { createWaitingService } from "../s3api/waiting-service.ts";
import { type RootKey, rootKeyPath } from "../storage/root-key.ts";
import type { Site } from "../storage/site.ts";
import { endpointOf, type serveBanner } from "../tools/banner.ts";
import { createAdmin } from "./admin.ts";
import { AdminDoor } from "./admin-door.ts";
import { startAdminFront, startFront } from "./front.ts";
import { giveBackWhenQuiet } from "./quiet.ts";
import { type HomeLinks, type RunningReplication, startReplication } from "./replication.ts";
import { createS3 } from "./s3.ts";
import { openFromSettings, openKeys, type WiringPorts } from "./site.ts";
import { openTls, reloadTls, tellNothingToReload, trustFile, watchTls } from "./tls.ts";

const ADMIN_DRAIN_MS = 1000;

export type RunningServer = {
  readonly banner: Parameters<typeof serveBanner>[0];
  readonly facts: Readonly<Record<string, unknown>>;
  /** Takes anew what can be without a restart: the certificate. Without TLS it says so. */
  readonly reload: () => Promise<void>;
  stop(): Promise<void>;
};

/** What exists from the first moment on, and what is put in its place when the site is open. */
type Switchboard = {
  state: SiteState;
  site: Site | undefined;
  s3: HttpHandler;
  mayWatch: (exchange: Exchange) => boolean;
  replication: ReplicationWatch | undefined;
  peers: PeerServer | undefined;
  links: HomeLinks;
};

/** Starts to listen, opens the site, and puts S3 in its place; `fail` ends a server that runs. */
export async function startServer({
  version,
  loaded,
  ports,
  fail,
}: {
  readonly version: string;
  readonly loaded: LoadedSettings;
  readonly ports: WiringPorts;
  readonly fail: (failure: unknown) => void;
}): Promise<RunningServer> {
  const { settings } = loaded;
  const { clock } = ports;
  const socketPath = adminSocketPath(settings.data, runtimeDirectory());
  const onFailure = (err: unknown): void => ports.log.error({ err }, "a control request failed");
  const requests = new RequestStats(clock);
  const board = newBoard(ports);
  const control = createControl(board, { version, settings, ports, requests, onFailure });
  const tls = await openTls(settings, ports);
  const front = await startFront(settings, ports, tls, (exchange) => {
    if (control.serves(exchange)) (doorOf(board, exchange) ?? control).handle(exchange);
    else board.s3(exchange);
  });
  // From here on: a start may last, and a certificate be renewed meanwhile.
  const watch = tls === undefined ? undefined : watchTls(tls, front, ports);
  const { port, engine } = front;
  const where = { ...settings.listen, port, secure: tls !== undefined };
  const known = { endpoint: endpointOf(where), data: settings.data, region: settings.region };
  const { pid } = ports.processFacts.self;
  const door = new AdminDoor(() => ({ version, state: board.state, ...known, pid }));
  const locked = async () => {
    const socket = await startAdminFront(createAdminHandler(door, onFailure), socketPath, ports);
    return () => socket.close(ADMIN_DRAIN_MS);
  };
  const site = await openFromSettings(ports, settings, { socketPath, failStop: fail, locked });
  const opened = { settings, ports, site, requests, fail };
  const { rootKey, replication } = await orClose(site, () => openFor(board, opened));
  const parts = { version, loaded, ports, site, rootKey, endpoint: known.endpoint };
  const shown = { state: () => board.state, replication: () => board.replication };
  door.open(createAdmin({ ...parts, ...shown, routes: () => replication.adminRoutes }));
  board.state = "serving";
  warnAtStart(ports, site, where);
  const stopGiving = giveBackWhenQuiet(clock, ports.openHeap(), ports.hash);
  return {
    ...describeServer({ version, settings, site, rootKey, where, engine }),
    reload: () => (tls === undefined ? tellNothingToReload(ports) : reloadTls(tls, front, ports)),
    stop: async () => {
      board.state = "draining";
      watch?.end();
      stopGiving();
      await replication.stop();
      await Promise.all([
        front.close(settings.drainSeconds * 1000),
        door.shut(clock, ADMIN_DRAIN_MS),
      ]);
      await site.close();
      await ports.hash.close();
    },
  };
}

/** A start that fails behind the opening of its site leaves it as a shutdown does. */
async function orClose<Result>(site: Site, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (failure) {
    await site.close();
    throw failure;
  }
}

function createControl(
  board: Switchboard,
  {
    settings,
    ports,
    ...parts
  }: Pick<ControlDeps, "version" | "requests" | "onFailure"> & {
    readonly settings: Settings;
    readonly ports: WiringPorts;
  },
): ControlService {
  const { clock, processFacts } = ports;
  return createControlService({
    ...{ ...parts, clock, processFacts, startedMonotonicMs: clock.monotonicMs() },
    ...{ domains: settings.domains, websiteDomain: settings.websiteDomain },
    metricsToken: settings.metricsToken,
    state: () => board.state,
    site: () => board.site,
    replication: () => board.replication,
    authorizeStats: (exchange) => board.mayWatch(exchange),
  });
}

/** Puts S3 and replication in place: each of them answers for the other's clients. */
async function openFor(
  board: Switchboard,
  opened: Omit<Parameters<typeof createS3>[0], "links" | "rootKey"> &
    Omit<Parameters<typeof startReplication>[0], "s3">,
): Promise<{ readonly rootKey: RootKey; readonly replication: RunningReplication }> {
  const rootKey = await openKeys(opened.settings, opened.ports);
  const parts = { ...opened, rootKey };
  const links: HomeLinks = {
    forward: (...asked) => board.links.forward(...asked),
    open: (...asked) => board.links.open(...asked),
    bring: (...asked) => board.links.bring(...asked),
  };
  const s3 = createS3({ ...parts, links });
  // Only then is anything answered: writes may have to wait for what peers know.
  const replication = await startReplication({ ...parts, s3 });
  const { server: peers, status } = replication;
  const { site } = parts;
  Object.assign(board, s3, { site, peers, replication: status, links: replication.links });
  return { rootKey, replication };
}

function newBoard({ random }: WiringPorts): Switchboard {
  return {
    ...{ state: "recovering", site: undefined, replication: undefined },
    s3: createWaitingService(random),
    mayWatch: () => false,
    peers: undefined,
    links: { forward: notYet, open: notYet, bring: notYet },
  };
}

function notYet(): Promise<never> {
  return Promise.reject(new StorageFault("unreachable", "no peer is talked to yet"));
}

/** What peers ask is no business of the site's own API. */
function doorOf({ peers }: Switchboard, exchange: Exchange): PeerServer | undefined {
  return peers?.serves(exchange) === true ? peers : undefined;
}

function warnAtStart(
  { clock, log }: WiringPorts,
  { store }: Site,
  where: { readonly host: string; readonly secure: boolean },
): void {
  const lastWriteMs = hlcMs(store.stats().hlc);
  const moment = { host: where.host, hasTls: where.secure, nowMs: clock.nowMs(), lastWriteMs };
  for (const warning of startWarnings(moment)) log.warn({}, warning);
}

function describeServer(running: {
  readonly version: string;
  readonly settings: Settings;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly where: { readonly host: string; readonly port: number; readonly secure: boolean };
  readonly engine: HttpServer["engine"];
}): Pick<RunningServer, "banner" | "facts"> {
  const { version, site, rootKey, where, engine } = running;
  const { data, region } = running.settings;
  const { id, secret } = rootKey.current();
  const isOwn = rootKey.source === "settings";
  return {
    banner: {
      ...{ version, dataDirectory: data, region, accessKey: id, ...where },
      secretKey: isOwn ? undefined : secret,
      trustFile: trustFile(running.settings),
    },
    facts: {
      ...{ version, endpoint: endpointOf(where), data, engine, ...site.opening },
      rootKey: isOwn ? "from the settings" : rootKeyPath(data),
    },
  };
}
