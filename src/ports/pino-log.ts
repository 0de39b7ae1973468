import type { Writable } from "node:stream";
import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from "pino";
import type { Log } from "./log.ts";
import { formatPretty } from "./pretty-line.ts";
import { redactFields } from "./redact-fields.ts";

const STDOUT = 1;
/** Lines are handed over in blocks: a system call for each would cost more than the request's own. */
const BLOCK_BYTES = 8 * 1024;
const BLOCK_MS = 100;

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export type PinoLogSettings = {
  readonly level: LogLevel;
  /** A short line for people instead of JSON. */
  readonly pretty: boolean;
  /** Standard output when absent. */
  readonly destination?: Writable;
};

/** One JSON line a call; secrets are cut before pino sees them. */
export function createPinoLog(settings: PinoLogSettings): Log {
  const sink =
    settings.destination === undefined ? stdoutSink() : writableSink(settings.destination);
  const stream: DestinationStream = settings.pretty
    ? { write: (line) => sink.stream.write(formatPretty(line)) }
    : sink.stream;
  const logger = pino(
    {
      level: settings.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  return wrap(logger, sink.flush);
}

function wrap(logger: Logger, flush: () => Promise<void>): Log {
  return {
    debug: (fields, message) => {
      if (logger.isLevelEnabled("debug")) logger.debug(redactFields(fields), message);
    },
    info: (fields, message) => {
      if (logger.isLevelEnabled("info")) logger.info(redactFields(fields), message);
    },
    warn: (fields, message) => logger.warn(redactFields(fields), message),
    error: (fields, message) => logger.error(redactFields(fields), message),
    child: (fields) => wrap(logger.child(redactFields(fields)), flush),
    flush,
  };
}

type Sink = { readonly stream: DestinationStream; readonly flush: () => Promise<void> };

function stdoutSink(): Sink {
  const stream = destination({
    dest: STDOUT,
    sync: false,
    minLength: BLOCK_BYTES,
    periodicFlush: BLOCK_MS,
  });
  // A reader that went away (`atoll serve | head`) must not take the server with it.
  stream.on("error", () => undefined);
  const flush = (): Promise<void> =>
    new Promise((resolve) => {
      // It also tries to fsync, which pipes and terminals refuse; nobody is owed more than a write.
      stream.flush(() => resolve());
    });
  return { stream, flush };
}

function writableSink(writable: Writable): Sink {
  const flush = (): Promise<void> =>
    new Promise((resolve, reject) => {
      writable.write("", (failure) => {
        if (failure) reject(failure);
        else resolve();
      });
    });
  return { stream: { write: (line) => void writable.write(line) }, flush };
}
