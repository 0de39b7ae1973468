import type { Log } from "./log.ts";

const nothing = (): void => undefined;

/** Says nothing: for tools whose output is their answer, and for tests that look elsewhere. */
export const silentLog: Log = {
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLog,
  flush: () => Promise.resolve(),
};
