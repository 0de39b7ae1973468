#!/usr/bin/env node
import { createRequire } from "node:module";
import {
  flagOf,
  hasFlag,
  type LoadedSettings,
  loadSettings,
  runtimeDirectory,
  SETTING_NAMES,
  SETTINGS,
  type Settings,
  setEnvironment,
} from "./config.ts";
import { type AdminApi, createAdminApi } from "./control/admin.ts";
import { createAdminHandler } from "./control/admin-handler.ts";
import { adminSocketPath } from "./control/admin-socket.ts";
import { createControlService } from "./control/control-service.ts";
import { RequestStats } from "./control/request-stats.ts";
import { startWarnings } from "./control/start-warnings.ts";
import type { SiteState } from "./control/stats.ts";
import { StorageFault } from "./core/faults.ts";
import { grantPolicy } from "./core/grants.ts";
import { hlcMs } from "./core/hlc.ts";
import { sha256Hex } from "./core/hmac.ts";
import { LIMITS } from "./core/limits.ts";
import type { RequestObserver } from "./core/request-summary.ts";
import { sealSecret } from "./core/seal.ts";
import { UsageError } from "./core/usage-error.ts";
import { createAccessLog } from "./http/access-log.ts";
import type { Exchange, HttpHandler, HttpServer } from "./http/exchange.ts";
import { type NodeServerDeps, startNodeServer } from "./http/node-server.ts";
import { startUwsServer } from "./http/uws-server.ts";
import { cryptoRandom } from "./ports/crypto-random.ts";
import { openLmdb } from "./ports/kv-lmdb.ts";
import type { Log } from "./ports/log.ts";
import { createNativeHash } from "./ports/native-hash.ts";
import { createNodeDisk } from "./ports/node-disk.ts";
import { createNodeNetwork } from "./ports/node-network.ts";
import { createPinoLog } from "./ports/pino-log.ts";
import { createProcessFacts } from "./ports/process-facts.ts";
import { systemClock } from "./ports/system-clock.ts";
import { accessKeyContext, createCredentialLookup } from "./s3api/auth/credential-lookup.ts";
import { SigningKeys } from "./s3api/auth/signing-key.ts";
import { createS3Service } from "./s3api/service.ts";
import { createWaitingService } from "./s3api/waiting-service.ts";
import { createWatchAuthorizer } from "./s3api/watch-authorizer.ts";
import { readLockHolder } from "./storage/data-lock.ts";
import { removeIfThere } from "./storage/json-file.ts";
import { chooseRootKey, type RootKey, rootKeyPath } from "./storage/root-key.ts";
import { openSite, type Site, type SiteSettings } from "./storage/site.ts";
import { SITE_FILE } from "./storage/site-identity.ts";
import type { SitePorts } from "./storage/site-ports.ts";
import { type AdminClient, answersOnSocket, connectAdminSocket } from "./tools/admin-client.ts";
import { endpointOf, serveBanner } from "./tools/banner.ts";
import { runCommandLine } from "./tools/cli.ts";
import { type CommandInput, flagValue, type Program } from "./tools/command.ts";
import { EXIT_CODES, type ExitCode, explain } from "./tools/output.ts";
import { killSelf, watchProcessEnd } from "./tools/process-end.ts";

/** A shutdown that hangs beyond its own grace is cut short: a kill loses nothing. */
const HANG_MS_MAX = 15_000;
const ADMIN_DRAIN_MS = 1000;
const SEAL_NONCE_BYTES = 12;

const VERSION = versionOfPackage();

const program: Program = {
  version: VERSION,
  settingFlags: SETTING_NAMES.filter(hasFlag).map((name) => ({
    flag: flagOf(name),
    placeholder: SETTINGS[name].placeholder,
    description: SETTINGS[name].description,
  })),
  serve,
  showSettings: async (input) => (await settingsOf(input)).shown,
  administration: async (input) => {
    const loaded = await settingsOf(input);
    return (await findServer(loaded.settings.data)) ?? openOffline(loaded);
  },
  runningServer: async (input) => {
    const { data } = (await settingsOf(input)).settings;
    const server = await findServer(data);
    if (server !== undefined) return server;
    throw new StorageFault("unreachable", `no server runs on ${data}`, {
      hint: "Start one with `atoll serve`, or name another directory with --data.",
    });
  },
  rebuildIndex,
};

// Whatever is created, by native libraries too, is for its owner only.
process.umask(0o077);
process.exit(await runCommandLine(program, process.argv.slice(2)));

function versionOfPackage(): string {
  const manifest: { version: string } = createRequire(import.meta.url)("../package.json");
  return manifest.version;
}

function settingsOf(input: CommandInput): Promise<LoadedSettings> {
  const flags: Record<string, string | undefined> = { config: flagValue(input, "config") };
  for (const name of SETTING_NAMES) flags[name] = flagValue(input, flagOf(name));
  return loadSettings({ flags, disk: createNodeDisk() });
}

async function createPorts(log: Log): Promise<SitePorts> {
  const network = createNodeNetwork();
  return {
    disk: createNodeDisk(),
    clock: systemClock,
    random: cryptoRandom,
    log,
    hash: await createNativeHash(),
    processFacts: createProcessFacts(),
    openKv: openLmdb,
    answers: (socketPath) => answersOnSocket(network, systemClock, socketPath),
    defer: (callback) => void setImmediate(callback),
  };
}

type Opening = Pick<SiteSettings, "socketPath" | "failStop" | "rebuildIndex">;

function open(ports: SitePorts, settings: Settings, opening: Opening): Promise<Site> {
  const { data: directory, siteName, directIo, segmentBytes, freeReserveBytes } = settings;
  const kept = { directory, siteName, directIo, segmentBytes, freeReserveBytes };
  return openSite(ports, { ...kept, ...opening, reserveFileBytes: LIMITS.reserveFileBytes });
}

// Commands without a server

async function findServer(directory: string): Promise<AdminClient | undefined> {
  const network = createNodeNetwork();
  const holder = await readLockHolder(createNodeDisk(), directory);
  if (holder?.socketPath === undefined) return undefined;
  if (!(await answersOnSocket(network, systemClock, holder.socketPath))) return undefined;
  return connectAdminSocket(network, holder.socketPath);
}

/** Opens a site that exists for one command, under LOCK. */
async function openForCommand(settings: Settings, rebuildIndex: boolean) {
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
  const site = await open(ports, settings, { socketPath: undefined, rebuildIndex, failStop });
  const close = async (): Promise<void> => {
    await site.close();
    await ports.hash.close();
  };
  return { ports, site, close };
}

async function openOffline(loaded: LoadedSettings): Promise<AdminClient> {
  const { ports, site, close } = await openForCommand(loaded.settings, false);
  const rootKey = await openKeys(loaded.settings, ports);
  const admin = createAdmin({
    ...{ loaded, ports, site, rootKey, endpoint: undefined },
    state: () => "offline",
  });
  return {
    call: (method, path, body) => admin.call({ method, path: `/v1/admin/${path}`, body }),
    close,
  };
}

async function rebuildIndex(input: CommandInput): Promise<Readonly<Record<string, unknown>>> {
  const startedMs = systemClock.monotonicMs();
  const { site, close } = await openForCommand((await settingsOf(input)).settings, true);
  const { objects, bytes, index } = site.store.stats();
  await close();
  const seconds = Number(((systemClock.monotonicMs() - startedMs) / 1000).toFixed(3));
  return { operations: index.replayedOperations, objects, bytes, seconds };
}

// Keys and administration

function openKeys(settings: Settings, ports: SitePorts): Promise<RootKey> {
  const { rootAccessKey: id, rootSecretKey: secret, data } = settings;
  const own = id === undefined || secret === undefined ? undefined : { id, secret };
  return chooseRootKey(ports, data, own);
}

type AdminParts = {
  readonly loaded: LoadedSettings;
  readonly ports: SitePorts;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly state: () => SiteState | "offline";
  readonly endpoint: string | undefined;
};

function createAdmin({ loaded, ports, site, rootKey, state, endpoint }: AdminParts): AdminApi {
  const { clock, random, processFacts } = ports;
  const { data, region } = loaded.settings;
  return createAdminApi({
    ...{ clock, random, version: VERSION, state, policyOf: grantPolicy },
    site: () => site,
    describe: () => ({ endpoint, data, region, pid: processFacts.self.pid }),
    settings: () => loaded.shown,
    seal: (id, secret) =>
      sealSecret(
        site.dataDir.keyRing,
        Buffer.from(secret),
        accessKeyContext(id),
        random.bytes(SEAL_NONCE_BYTES),
      ),
    rootKey: {
      source: () => rootKey.source,
      show: () => rootKey.current(),
      rotate: () => rootKey.rotate(),
    },
  });
}

// The server

async function serve(input: CommandInput): Promise<ExitCode> {
  const loaded = await settingsOf(input);
  const { logLevel: level, logFormat, drainSeconds } = loaded.settings;
  const { isTerminal } = input.output;
  const pretty = logFormat === "pretty" || (logFormat === "auto" && isTerminal);
  const log = createPinoLog({ level, pretty });
  const end = watchProcessEnd();
  const starting = startServer(loaded, await createPorts(log), end.fail);
  const server = await starting.finally(() => log.flush());
  if (isTerminal && pretty) input.output.text(serveBanner(server.banner));
  log.info(server.facts, "serving");
  const reason = await end.reason;
  if (reason.kind === "failed") {
    log.error({ err: reason.failure }, `stopped: ${explain(reason.failure)}`);
    await log.flush();
    return EXIT_CODES.failed;
  }
  log.info({}, "shutting down: requests under way are finished first");
  systemClock.after(drainSeconds * 1000 + HANG_MS_MAX, killSelf);
  await server.stop();
  log.info({}, "stopped");
  await log.flush();
  return EXIT_CODES.fine;
}

type RunningServer = {
  readonly banner: Parameters<typeof serveBanner>[0];
  readonly facts: Readonly<Record<string, unknown>>;
  stop(): Promise<void>;
};

/** What exists from the first moment on, and what is put in its place when the site is open. */
type Switchboard = {
  state: SiteState;
  site: Site | undefined;
  s3: HttpHandler;
  mayWatch: (exchange: Exchange) => boolean;
};

async function startServer(
  loaded: LoadedSettings,
  ports: SitePorts,
  fail: (failure: unknown) => void,
): Promise<RunningServer> {
  const { settings } = loaded;
  const { log, clock } = ports;
  const socketPath = adminSocketPath(settings.data, runtimeDirectory());
  const onFailure = (err: unknown): void => log.error({ err }, "a control request failed");
  const requests = new RequestStats(clock);
  const board: Switchboard = {
    state: "recovering",
    site: undefined,
    s3: createWaitingService(ports.random),
    mayWatch: () => false,
  };
  const control = createControlService({
    ...{ version: VERSION, clock, requests, onFailure, processFacts: ports.processFacts },
    ...{ domains: settings.domains, metricsToken: settings.metricsToken },
    state: () => board.state,
    site: () => board.site,
    startedMonotonicMs: clock.monotonicMs(),
    authorizeStats: (exchange) => board.mayWatch(exchange),
  });
  const front = await startFront(settings, ports, (exchange) => {
    if (control.serves(exchange)) control.handle(exchange);
    else board.s3(exchange);
  });
  const site = await open(ports, settings, { socketPath, failStop: fail });
  const rootKey = await openKeys(settings, ports);
  Object.assign(board, createS3({ settings, ports, site, rootKey, requests }), { site });
  const where = { ...settings.listen, port: front.port, secure: settings.tlsCert !== undefined };
  const parts = { loaded, ports, site, rootKey, endpoint: endpointOf(where) };
  const admin = createAdmin({ ...parts, state: () => board.state });
  const adminFront = await startAdmin(createAdminHandler(admin, onFailure), socketPath, ports);
  board.state = "serving";
  const lastWriteMs = hlcMs(site.store.stats().hlc);
  const moment = { host: where.host, hasTls: where.secure, nowMs: clock.nowMs(), lastWriteMs };
  for (const warning of startWarnings(moment)) log.warn({}, warning);
  return {
    ...describeServer({ settings, site, rootKey, where }),
    stop: async () => {
      board.state = "draining";
      const drained = front.close(settings.drainSeconds * 1000);
      await Promise.all([drained, adminFront.close(ADMIN_DRAIN_MS)]);
      await site.close();
      await ports.hash.close();
    },
  };
}

function describeServer(running: {
  readonly settings: Settings;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly where: { readonly host: string; readonly port: number; readonly secure: boolean };
}): Pick<RunningServer, "banner" | "facts"> {
  const { site, rootKey, where } = running;
  const { data, region, engine } = running.settings;
  const { id, secret } = rootKey.current();
  const isOwn = rootKey.source === "settings";
  return {
    banner: {
      ...{ version: VERSION, dataDirectory: data, region, accessKey: id, ...where },
      secretKey: isOwn ? undefined : secret,
    },
    facts: {
      ...{ version: VERSION, endpoint: endpointOf(where), data, engine, ...site.opening },
      rootKey: isOwn ? "from the settings" : rootKeyPath(data),
    },
  };
}

function createS3(parts: {
  readonly settings: Settings;
  readonly ports: SitePorts;
  readonly site: Site;
  readonly rootKey: RootKey;
  readonly requests: RequestObserver;
}): Pick<Switchboard, "s3" | "mayWatch"> {
  const { site, rootKey, requests } = parts;
  const { clock, hash, log, random } = parts.ports;
  const { region, domains } = parts.settings;
  const { store, identity } = site;
  const { keyRing } = site.dataDir;
  const lookup = createCredentialLookup({ store, keyRing, rootKey: () => rootKey.current() });
  const accessLog = createAccessLog(log);
  const observer: RequestObserver = {
    finished: (summary) => {
      requests.finished(summary);
      accessLog.finished(summary);
    },
  };
  const ownerId = sha256Hex(`owner of ${identity.clusterId}`);
  return {
    s3: createS3Service({
      ...{ store, hash, clock, random, log, observer, lookup },
      settings: { region, domains, ownerId, requestsMax: LIMITS.requestsMax },
    }),
    mayWatch: createWatchAuthorizer({
      ...{ lookup, region, signingKeys: new SigningKeys() },
      nowMs: () => clock.nowMs(),
    }),
  };
}

async function startFront(
  settings: Settings,
  ports: SitePorts,
  handler: HttpHandler,
): Promise<HttpServer> {
  const { tlsCert: certificatePath, tlsKey: keyPath } = settings;
  const hasTls = certificatePath !== undefined && keyPath !== undefined;
  const where = { ...settings.listen, tls: hasTls ? { certificatePath, keyPath } : undefined };
  if (settings.engine === "uws") {
    try {
      return await startUwsServer(handler, where, { clock: ports.clock, setEnvironment });
    } catch (failure) {
      const isMissing = failure instanceof StorageFault && failure.kind === "unsupported";
      if (!isMissing || hasTls) throw failure;
      ports.log.warn({ reason: failure.message }, "serving with the node engine instead");
    }
  }
  return startNodeServer(handler, where, nodeDeps(ports));
}

function nodeDeps({ clock, disk }: SitePorts): NodeServerDeps {
  return { clock, readFile: (path) => disk.readFile(path) };
}

/** The site is locked: a socket file that is still there belongs to nobody. */
async function startAdmin(
  handler: HttpHandler,
  socketPath: string,
  ports: SitePorts,
): Promise<HttpServer> {
  await removeIfThere(ports.disk, socketPath);
  return startNodeServer(handler, { socketPath }, nodeDeps(ports));
}
