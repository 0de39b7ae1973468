#!/usr/bin/env node
import { createRequire } from "node:module";
import {
  flagOf,
  hasFlag,
  type LoadedSettings,
  loadSettings,
  SETTING_NAMES,
  SETTINGS,
} from "./config.ts";
import type { Log } from "./ports/log.ts";
import { createNodeDisk } from "./ports/node-disk.ts";
import { createPinoLog } from "./ports/pino-log.ts";
import { systemClock } from "./ports/system-clock.ts";
import { serveBanner } from "./tools/banner.ts";
import { runCommandLine } from "./tools/cli.ts";
import { type CommandInput, flagValue, type Program } from "./tools/command.ts";
import { EXIT_CODES, type ExitCode, explain } from "./tools/output.ts";
import { killSelf, onHangup, type ProcessEnd, watchProcessEnd } from "./tools/process-end.ts";
import {
  findServer,
  noServer,
  openForCommand,
  openOffline,
  reissueAhead,
} from "./wiring/offline.ts";
import { startServer } from "./wiring/server.ts";
import { createPorts } from "./wiring/site.ts";

/** A shutdown that hangs beyond its own grace is cut short: a kill loses nothing. */
const HANG_MS_MAX = 15_000;

const VERSION = versionOfPackage();

const program: Program = {
  version: VERSION,
  settingFlags: SETTING_NAMES.filter(hasFlag).map((name) => ({
    flag: flagOf(name),
    placeholder: SETTINGS[name].placeholder,
    description: SETTINGS[name].description,
    fallback: SETTINGS[name].fallback,
  })),
  serve,
  showSettings: async (input) => (await settingsOf(input)).shown,
  administration: async (input) => {
    const loaded = await settingsOf(input);
    return (await findServer(loaded.settings.data)) ?? openOffline(loaded, VERSION);
  },
  runningServer: async (input) => {
    const { data } = (await settingsOf(input)).settings;
    const server = await findServer(data);
    if (server !== undefined) return server;
    throw await noServer(data);
  },
  readFile: (path) => createNodeDisk().readNamed(path),
  rebuildIndex,
  reissueAhead: async (input) => reissueAhead((await settingsOf(input)).settings),
};

// Whatever is created, by native libraries too, is for its owner only.
process.umask(0o077);
void runCommandLine(program, process.argv.slice(2)).then((code) => process.exit(code));

function versionOfPackage(): string {
  const manifest: { version: string } = createRequire(import.meta.url)("../package.json");
  return manifest.version;
}

function settingsOf(input: CommandInput): Promise<LoadedSettings> {
  const flags: Record<string, string | undefined> = { config: flagValue(input, "config") };
  for (const name of SETTING_NAMES) flags[name] = flagValue(input, flagOf(name));
  return loadSettings({ flags, disk: createNodeDisk() });
}

async function rebuildIndex(input: CommandInput): Promise<Readonly<Record<string, unknown>>> {
  const startedMs = systemClock.monotonicMs();
  const { site, close } = await openForCommand((await settingsOf(input)).settings, true);
  const { objects, bytes, index } = site.store.stats();
  await close();
  const seconds = Number(((systemClock.monotonicMs() - startedMs) / 1000).toFixed(3));
  return { operations: index.replayedOperations, objects, bytes, seconds };
}

/**
 * Who is asked to end during a start ends it first, for what was replayed is worth keeping; but
 * one that lasts (a rebuild) is broken off, and loses nothing by it that was acknowledged.
 */
async function endOfStart(
  end: ProcessEnd,
  log: Log,
  start: { readonly isStarting: () => boolean; readonly drainSeconds: number },
): Promise<undefined> {
  const reason = await end.reason;
  if (!start.isStarting()) return;
  if (reason.kind === "failed") throw reason.failure;
  log.info({}, "asked to stop while starting: the start is ended first, or broken off");
  await systemClock.sleep(start.drainSeconds * 1000);
  if (start.isStarting()) log.warn({}, "stopped before the site was open");
}

/**
 * SIGHUP never ends a server, from its first moment on: whoever renews certificates sends it to all
 * servers alike. One that comes during the start is carried out behind it.
 */
function takeHangups(log: Log): { readonly handTo: (reload: () => Promise<void>) => void } {
  let reload: (() => Promise<void>) | undefined;
  let isWaiting = false;
  const take = (): void => {
    isWaiting = reload === undefined;
    reload?.().catch((err: unknown) => log.error({ err }, "the certificate stays as it was"));
  };
  onHangup(take);
  return {
    handTo: (now) => {
      reload = now;
      if (isWaiting) take();
    },
  };
}

async function serve(input: CommandInput): Promise<ExitCode> {
  const loaded = await settingsOf(input);
  const { logLevel: level, logFormat, drainSeconds } = loaded.settings;
  const { isTerminal } = input.output;
  const pretty = logFormat === "pretty" || (logFormat === "auto" && isTerminal);
  const log = createPinoLog({ level, pretty });
  const end = watchProcessEnd();
  const hangups = takeHangups(log);
  const starting = startServer({
    ...{ version: VERSION, loaded, ports: await createPorts(log), fail: end.fail },
  });
  let isStarting = true;
  const brokenOff = endOfStart(end, log, { isStarting: () => isStarting, drainSeconds });
  const server = await Promise.race([starting, brokenOff]).finally(() => {
    isStarting = false;
    return log.flush();
  });
  if (server === undefined) return EXIT_CODES.fine;
  if (isTerminal && pretty) input.output.text(serveBanner(server.banner));
  log.info(server.facts, "serving");
  hangups.handTo(server.reload);
  const reason = await end.reason;
  if (reason.kind === "failed") {
    log.error({ err: reason.failure }, `stopped: ${explain(reason.failure)}`);
    // Requests still arrive, and must not hide the line that says why nobody answers them.
    await log.end();
    return EXIT_CODES.failed;
  }
  log.info({}, "shutting down: requests under way are finished first");
  systemClock.after(drainSeconds * 1000 + HANG_MS_MAX, killSelf);
  await server.stop();
  log.info({}, "stopped");
  await log.flush();
  return EXIT_CODES.fine;
}
