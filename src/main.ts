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
import { clockProblem } from "./control/clock-check.ts";
import { createControlService } from "./control/control-service.ts";
import { RequestStats } from "./control/request-stats.ts";
import type { SiteState } from "./control/stats.ts";
import type { AccessKeyPair } from "./core/access-key.ts";
import { StorageFault } from "./core/faults.ts";
import { hlcMs } from "./core/hlc.ts";
import { sha256Hex } from "./core/hmac.ts";
import { createAccessLog } from "./http/access-log.ts";
import type { Exchange, HttpHandler, HttpServer } from "./http/exchange.ts";
import { startNodeServer } from "./http/node-server.ts";
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
import type { Credential } from "./s3api/auth/credentials.ts";
import { SigningKeys } from "./s3api/auth/signing-key.ts";
import { createS3Service } from "./s3api/service.ts";
import { createWaitingService } from "./s3api/waiting-service.ts";
import { createWatchAuthorizer } from "./s3api/watch-authorizer.ts";
import { readLockHolder } from "./storage/data-lock.ts";
import { removeIfThere } from "./storage/json-file.ts";
import { openRootKey, rootKeyPath, rotateRootKey } from "./storage/root-key.ts";
import { openSite, type Site, type SitePorts } from "./storage/site.ts";
import { type AdminClient, answersOnSocket, connectAdminSocket } from "./tools/admin-client.ts";
import { endpointOf, serveBanner } from "./tools/banner.ts";
import { runCommandLine } from "./tools/cli.ts";
import { type CommandInput, flagValue, type Program } from "./tools/command.ts";
import { EXIT_CODES, type ExitCode, explain } from "./tools/output.ts";

/** Requests under way at once; more are told to slow down. */
const REQUESTS_MAX = 4096;
/** A shutdown that hangs beyond its own grace is cut short: a kill loses nothing. */
const HANG_MS_MAX = 15_000;
const ADMIN_DRAIN_MS = 1000;

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
process.exitCode = await runCommandLine(program, process.argv.slice(2));

function versionOfPackage(): string {
  const manifest: unknown = createRequire(import.meta.url)("../package.json");
  const known = typeof manifest === "object" && manifest !== null && "version" in manifest;
  return known ? String(manifest.version) : "unknown";
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
    answers: (socketPath) => answersOnSocket(network, socketPath),
    defer: (callback) => void setImmediate(callback),
  };
}

function open(
  ports: SitePorts,
  settings: Settings,
  more: {
    readonly socketPath: string | undefined;
    readonly rebuildIndex: boolean;
    readonly failStop: (fault: StorageFault) => void;
  },
): Promise<Site> {
  const { data: directory, siteName, directIo, segmentBytes, freeReserveBytes } = settings;
  return openSite(ports, {
    ...{ directory, siteName, directIo, segmentBytes, freeReserveBytes },
    ...more,
  });
}

// Commands without a server

async function findServer(directory: string): Promise<AdminClient | undefined> {
  const network = createNodeNetwork();
  const holder = await readLockHolder(createNodeDisk(), directory);
  if (holder?.socketPath === undefined) return undefined;
  if (!(await answersOnSocket(network, holder.socketPath))) return undefined;
  return connectAdminSocket(network, holder.socketPath);
}

/** Results go to standard output, so that lines for the operator must not. */
function operatorLog(): Log {
  return createPinoLog({ level: "warn", pretty: true, destination: process.stderr });
}

async function openOffline(loaded: LoadedSettings): Promise<AdminClient> {
  const ports = await createPorts(operatorLog());
  const site = await open(ports, loaded.settings, {
    socketPath: undefined,
    rebuildIndex: false,
    failStop: throwFault,
  });
  const rootKey = await openRootKeyHolder(loaded.settings, ports);
  const admin = createAdmin({
    ...{ loaded, ports, rootKey },
    site: () => site,
    state: () => "offline",
    endpoint: () => undefined,
  });
  return {
    call: (method, path, body) => admin.call({ method, path: `/v1/admin/${path}`, body }),
    close: async () => {
      await site.close();
      await ports.hash.close();
    },
  };
}

async function rebuildIndex(input: CommandInput): Promise<Readonly<Record<string, unknown>>> {
  const { settings } = await settingsOf(input);
  const ports = await createPorts(operatorLog());
  const startedMs = ports.clock.monotonicMs();
  const site = await open(ports, settings, {
    socketPath: undefined,
    rebuildIndex: true,
    failStop: throwFault,
  });
  const { objects, bytes, index } = site.store.stats();
  await site.close();
  await ports.hash.close();
  const seconds = Number(((ports.clock.monotonicMs() - startedMs) / 1000).toFixed(3));
  return { operations: index.replayedOperations, objects, bytes, seconds };
}

function throwFault(fault: StorageFault): never {
  throw fault;
}

// Keys

type RootKeyHolder = {
  readonly source: "file" | "settings";
  current(): AccessKeyPair;
  rotate(): Promise<AccessKeyPair>;
};

async function openRootKeyHolder(settings: Settings, ports: SitePorts): Promise<RootKeyHolder> {
  const { rootAccessKey: id, rootSecretKey: secret, data } = settings;
  if (id !== undefined && secret !== undefined) {
    const pair = { id, secret };
    return { source: "settings", current: () => pair, rotate: async () => pair };
  }
  let pair = await openRootKey(ports, data);
  return {
    source: "file",
    current: () => pair,
    rotate: async () => {
      pair = await rotateRootKey(ports, data);
      return pair;
    },
  };
}

type AdminParts = {
  readonly loaded: LoadedSettings;
  readonly ports: SitePorts;
  readonly site: () => Site | undefined;
  readonly rootKey: RootKeyHolder;
  readonly state: () => SiteState | "offline";
  readonly endpoint: () => string | undefined;
};

function createAdmin({ loaded, ports, site, rootKey, state, endpoint }: AdminParts): AdminApi {
  return createAdminApi({
    clock: ports.clock,
    random: ports.random,
    version: VERSION,
    state,
    site,
    describe: () => ({
      endpoint: endpoint(),
      data: loaded.settings.data,
      region: loaded.settings.region,
      pid: ports.processFacts.self.pid,
    }),
    settings: () => loaded.shown,
    seal: () => {
      throw new StorageFault("unsupported", "access keys cannot be sealed yet");
    },
    policyOf: () => "{}",
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
  const { settings } = loaded;
  const { isTerminal } = input.output;
  const pretty = settings.logFormat === "pretty" || (settings.logFormat === "auto" && isTerminal);
  const log = createPinoLog({ level: settings.logLevel, pretty });
  const ending = watchForTheEnd();
  const server = await startServer(loaded, await createPorts(log), ending.fail);
  if (isTerminal && pretty) input.output.text(serveBanner(server.banner));
  log.info(server.facts, "serving");
  const reason = await ending.reason;
  if (reason !== "asked to") {
    log.error({ err: reason }, `stopped: ${explain(reason)}`);
    await log.flush();
    process.exit(EXIT_CODES.failed);
  }
  log.info({}, "shutting down: requests under way are finished first");
  systemClock.after(settings.drainSeconds * 1000 + HANG_MS_MAX, killSelf);
  await server.stop();
  log.info({}, "stopped");
  await log.flush();
  return EXIT_CODES.fine;
}

/** Resolves when the process is asked to end, or with the failure after which it must. */
function watchForTheEnd(): {
  readonly reason: Promise<unknown>;
  readonly fail: (failure: unknown) => void;
} {
  let settle: (reason: unknown) => void = killSelf;
  const reason = new Promise<unknown>((resolve) => {
    settle = resolve;
  });
  let asked = false;
  const onSignal = (): void => {
    if (asked) killSelf();
    asked = true;
    settle("asked to");
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("uncaughtException", settle);
  process.on("unhandledRejection", settle);
  return { reason, fail: settle };
}

// Nothing is lost by it, and nothing that hangs can stand in its way.
function killSelf(): void {
  process.kill(process.pid, "SIGKILL");
}

type RunningServer = {
  readonly banner: Parameters<typeof serveBanner>[0];
  readonly facts: Readonly<Record<string, unknown>>;
  stop(): Promise<void>;
};

async function startServer(
  loaded: LoadedSettings,
  ports: SitePorts,
  fail: (failure: unknown) => void,
): Promise<RunningServer> {
  const { settings } = loaded;
  const { log, clock } = ports;
  const socketPath = adminSocketPath(settings.data, runtimeDirectory());
  const requests = new RequestStats(clock);
  const onFailure = (err: unknown): void => log.error({ err }, "a control request failed");
  let state: SiteState = "recovering";
  let site: Site | undefined;
  let s3: HttpHandler = createWaitingService(ports.random);
  let authorizeStats = (_exchange: Exchange): boolean => false;
  const control = createControlService({
    ...{ version: VERSION, clock, requests, onFailure, processFacts: ports.processFacts },
    ...{ domains: settings.domains, metricsToken: settings.metricsToken },
    state: () => state,
    site: () => site,
    startedMonotonicMs: clock.monotonicMs(),
    authorizeStats: (exchange) => authorizeStats(exchange),
  });
  const front = await startFront(settings, ports, (exchange) => {
    if (control.serves(exchange)) control.handle(exchange);
    else s3(exchange);
  });
  site = await open(ports, settings, { socketPath, rebuildIndex: false, failStop: fail });
  const opened = site;
  const rootKey = await openRootKeyHolder(settings, ports);
  const lookup = (id: string): Credential | undefined => {
    const pair = rootKey.current();
    return id === pair.id
      ? { id: pair.id, secret: pair.secret, kind: "root", name: "root", policies: [] }
      : undefined;
  };
  const { region, domains } = settings;
  const nowMs = () => clock.nowMs();
  authorizeStats = createWatchAuthorizer({ lookup, region, signingKeys: new SigningKeys(), nowMs });
  const accessLog = createAccessLog(log);
  const ownerId = sha256Hex(`owner of ${site.identity.clusterId}`);
  s3 = createS3Service({
    ...{ store: site.store, hash: ports.hash, clock, random: ports.random, log, lookup },
    settings: { region, domains, ownerId, requestsMax: REQUESTS_MAX },
    observer: {
      finished: (summary) => {
        requests.finished(summary);
        accessLog.finished(summary);
      },
    },
  });
  const where = { ...settings.listen, port: front.port, secure: settings.tlsCert !== undefined };
  const endpoint = endpointOf(where);
  const admin = createAdmin({
    ...{ loaded, ports, rootKey },
    site: () => site,
    state: () => state,
    endpoint: () => endpoint,
  });
  const adminFront = await startAdmin(createAdminHandler(admin, onFailure), socketPath, ports);
  state = "serving";
  warnOperator(settings, opened, ports);
  const { id, secret } = rootKey.current();
  const isOwn = rootKey.source === "settings";
  return {
    banner: {
      ...{ version: VERSION, dataDirectory: settings.data, region, accessKey: id, ...where },
      secretKey: isOwn ? undefined : secret,
    },
    facts: {
      ...{ version: VERSION, endpoint, data: settings.data, engine: settings.engine },
      ...{ directIo: site.opening.directIo, replayed: site.opening.replayedOperations },
      rootKey: isOwn ? "from the settings" : rootKeyPath(settings.data),
    },
    stop: async () => {
      state = "draining";
      await Promise.all([
        front.close(settings.drainSeconds * 1000),
        adminFront.close(ADMIN_DRAIN_MS),
      ]);
      await opened.close();
      await ports.hash.close();
    },
  };
}

async function startFront(
  settings: Settings,
  ports: SitePorts,
  handler: HttpHandler,
): Promise<HttpServer> {
  const { tlsCert: certificatePath, tlsKey: keyPath } = settings;
  const hasTls = certificatePath !== undefined && keyPath !== undefined;
  const tls = hasTls ? { certificatePath, keyPath } : undefined;
  const where = { ...settings.listen, tls };
  const { clock, disk } = ports;
  if (settings.engine === "uws") {
    try {
      return await startUwsServer(handler, where, { clock, setEnvironment });
    } catch (failure) {
      if (!(failure instanceof StorageFault) || failure.kind !== "unsupported" || hasTls) {
        throw failure;
      }
      ports.log.warn({ reason: failure.message }, "serving with the node engine instead");
    }
  }
  return startNodeServer(handler, where, { clock, readFile: (path) => disk.readFile(path) });
}

/** The site is locked: a socket file that is still there belongs to nobody. */
async function startAdmin(
  handler: HttpHandler,
  socketPath: string,
  { clock, disk }: SitePorts,
): Promise<HttpServer> {
  await removeIfThere(disk, socketPath);
  return startNodeServer(handler, { socketPath }, { clock, readFile: (path) => disk.readFile(path) });
}

function warnOperator(settings: Settings, site: Site, { log, clock }: SitePorts): void {
  const { host } = settings.listen;
  const isLocal = host === "localhost" || host === "::1" || host.startsWith("127.");
  if (!isLocal && settings.tlsCert === undefined) {
    log.warn({ host }, "listening beyond this machine without TLS: set tlsCert and tlsKey");
  }
  const problem = clockProblem(clock.nowMs(), hlcMs(site.store.stats().hlc));
  if (problem !== undefined) log.warn({}, problem);
}
