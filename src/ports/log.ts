/** Structured log lines. Secrets never pass: callers log names and ids; known fields are cut. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  /**
   * The same as `info` for fields whose JSON the caller has written, without braces: one line a
   * request is a large share of what a request costs. Every value must be JSON already.
   */
  infoLine(json: string, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log that adds these fields to every line. */
  child(fields: LogFields): Log;
  /** Resolves when everything logged so far has been handed to the operating system. */
  flush(): Promise<void>;
}

export type LogFields = Readonly<Record<string, unknown>>;
