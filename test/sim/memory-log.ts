import type { Log, LogFields } from "../../src/ports/log.ts";
import { redactFields } from "../../src/ports/redact-fields.ts";

export type LogLine = {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
};

export interface MemoryLog extends Log {
  readonly lines: LogLine[];
}

/** Keeps what is logged, cut as the real one cuts it. Children write to the same lines. */
export function createMemoryLog(): MemoryLog {
  const lines: LogLine[] = [];
  return { lines, ...logTo(lines, {}) };
}

function logTo(lines: LogLine[], bindings: LogFields): Log {
  const at =
    (level: LogLine["level"]) =>
    (fields: LogFields, message: string): void => {
      lines.push({ level, message, fields: redactFields({ ...bindings, ...fields }) });
    };
  return {
    debug: at("debug"),
    info: at("info"),
    infoLine: (json, message) => at("info")(JSON.parse(`{${json}}`), message),
    warn: at("warn"),
    error: at("error"),
    child: (fields) => logTo(lines, { ...bindings, ...fields }),
    flush: () => Promise.resolve(),
  };
}
