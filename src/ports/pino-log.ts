import type { Writable } from "node:stream";
import { type DestinationStream, type Logger, pino } from "pino";
import { createDescriptorSink } from "./descriptor-sink.ts";
import type { Log } from "./log.ts";
import { formatPretty } from "./pretty-line.ts";
import { redactFields, redactText } from "./redact-fields.ts";
import { systemClock } from "./system-clock.ts";

const STDOUT = 1;

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export type PinoLogSettings = {
  readonly level: LogLevel;
  /** A short line for people instead of JSON. */
  readonly pretty: boolean;
  /** Standard output when absent. */
  readonly destination?: Writable;
};

export interface PinoLog extends Log {
  /** The log ends with what was logged so far: later lines are dropped. Resolves like `flush`. */
  end(): Promise<void>;
}

/** One JSON line a call; secrets are cut before pino sees them. */
export function createPinoLog(settings: PinoLogSettings): PinoLog {
  const sink =
    settings.destination === undefined ? stdoutSink() : writableSink(settings.destination);
  let isOpen = true;
  const stream: DestinationStream = {
    write: (line) => {
      if (isOpen) sink.stream.write(settings.pretty ? formatPretty(line) : line);
    },
  };
  const timestamp = createTimestamp();
  const logger = pino(
    {
      level: settings.level,
      base: null,
      timestamp,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  );
  const enabled = logger.isLevelEnabled("info");
  const infoLine = (json: string, message: string): void => {
    if (!enabled) return;
    stream.write(`{"level":"info"${timestamp()},${redactText(json)},"msg":"${message}"}\n`);
  };
  const end = (): Promise<void> => {
    isOpen = false;
    return sink.flush();
  };
  return { ...wrap(logger, sink.flush), infoLine, end };
}

function wrap(logger: Logger, flush: () => Promise<void>): Log {
  return {
    debug: (fields, message) => {
      if (logger.isLevelEnabled("debug")) logger.debug(redactFields(fields), message);
    },
    info: (fields, message) => {
      if (logger.isLevelEnabled("info")) logger.info(redactFields(fields), message);
    },
    // A child has fields of its own to add; only the parent's lines are many.
    infoLine: (json, message) => logger.info(redactFields(JSON.parse(`{${json}}`)), message),
    warn: (fields, message) => logger.warn(redactFields(fields), message),
    error: (fields, message) => logger.error(redactFields(fields), message),
    child: (fields) => wrap(logger.child(redactFields(fields)), flush),
    flush,
  };
}

/** Many lines share a millisecond, and writing a date out costs as much as the rest of a line. */
function createTimestamp(): () => string {
  let lastMs = -1;
  let text = "";
  return () => {
    const nowMs = systemClock.nowMs();
    if (nowMs !== lastMs) {
      lastMs = nowMs;
      text = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return text;
  };
}

type Sink = { readonly stream: DestinationStream; readonly flush: () => Promise<void> };

function stdoutSink(): Sink {
  const sink = createDescriptorSink(STDOUT);
  return { stream: sink, flush: () => sink.flush() };
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
