import { errnoOf, StorageFault } from "../core/faults.ts";
import { ignore } from "../core/ignore.ts";
import { printable } from "../core/printable.ts";
import { UsageError } from "../core/usage-error.ts";

/** Where commands write: results to standard output, everything else to standard error. */
export interface Output {
  readonly isTerminal: boolean;
  /** True when results are to be JSON, for programs. */
  readonly json: boolean;
  /** Text for people as it is, escapes for the terminal included. */
  text(text: string): void;
  /** A value: as indented JSON with its schema_version, or as the lines that `show` makes of it. */
  result(value: Readonly<Record<string, unknown>>, show: () => string): void;
  /** How far something is, in one line that the next one takes the place of; for terminals only. */
  progress(text: string): void;
  /** A sentence for the operator that is no result. */
  notice(text: string): void;
}

/** Standard output itself, for whoever must know that what was said has arrived. */
export type OutputEnd = {
  /** Rejects with StorageFault "io" as soon as nothing more is taken: no reader, a full disk. */
  readonly broken: Promise<never>;
  /** Resolves when everything so far has been taken; rejects like `broken`. */
  flush(): Promise<void>;
  /** To be called at last: nobody asks any more. */
  stop(): void;
};

/** What a command ends with; documented in `atoll help`. */
export const EXIT_CODES = { fine: 0, failed: 1, usage: 2, damage: 3, unavailable: 4 } as const;
/** Rises with every incompatible change of what `--json` prints. */
const OUTPUT_SCHEMA_VERSION = 1;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** Output of a command to this process's own streams, as text or, for programs, as JSON. */
export function createOutput(json: boolean): Output {
  return {
    isTerminal: process.stdout.isTTY === true,
    json,
    text: (text) => console.log(text),
    // Keys and names in it are strangers': the terminal must not obey them.
    result: (value, show) =>
      console.log(printable(json ? JSON.stringify(versioned(value), undefined, 2) : show())),
    progress: (text) => {
      if (process.stderr.isTTY === true) process.stderr.write(`\r${text}\u001b[K`);
    },
    notice: (text) => console.error(printable(text)),
  };
}

/** A JSON document of the command line. A server's own says its version itself. */
export function versioned(
  value: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return { schema_version: OUTPUT_SCHEMA_VERSION, ...value };
}

/** Watches standard output, whose failures the console keeps to itself. */
export function watchOutput(): OutputEnd {
  const { stdout } = process;
  let failed = false;
  let fail: (cause: unknown) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    fail = (cause) => {
      failed = true;
      const message = `what it says cannot be written (${errnoOf(cause) ?? String(cause)})`;
      reject(new StorageFault("io", message, { cause }));
    };
  });
  // Commands that end in another way have nobody who waits for it.
  broken.catch(ignore);
  stdout.on("error", fail);
  const flush = async (): Promise<void> => {
    const failure = await new Promise<unknown>((resolve) => {
      stdout.write("", (after) => resolve(stdout.errored ?? after));
    });
    if (failure instanceof Error) fail(failure);
    // The stream tells of a failure once: what was written after it seems to have been taken.
    if (failed) await broken;
  };
  // After a failure it stays: the stream may tell of it once more, and nobody else would listen.
  const stop = (): void => void (failed || stdout.off("error", fail));
  return { broken, flush, stop };
}

/** True when it was the reader that went away (`| head`), who wants to hear no more. */
export function isReaderGone(failure: unknown): boolean {
  return failure instanceof StorageFault && errnoOf(failure.cause) === "EPIPE";
}

/** Rows in aligned columns under their heads; "nothing" when there are none. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads, ...rows];
  const widths = heads.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Names and values below each other, the values aligned. */
export function pairs(rows: ReadonlyArray<readonly [string, string]>): string {
  const width = Math.max(0, ...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join("\n");
}

/** One sentence that says what went wrong and what to do. */
export function explain(failure: unknown): string {
  if (failure instanceof StorageFault || failure instanceof UsageError) {
    const sentence = /[.?!]$/.test(failure.message) ? failure.message : `${failure.message}.`;
    return failure.hint === undefined ? sentence : `${sentence} ${failure.hint}`;
  }
  return failure instanceof Error ? `${failure.message}.` : String(failure);
}

/** The exit code that tells a script what kind of failure it was. */
export function exitCodeOf(failure: unknown): ExitCode {
  if (failure instanceof UsageError) return EXIT_CODES.usage;
  if (!(failure instanceof StorageFault)) return EXIT_CODES.failed;
  switch (failure.kind) {
    case "corrupt":
      return EXIT_CODES.damage;
    case "locked":
    case "unreachable":
      return EXIT_CODES.unavailable;
    case "disk-full":
    case "io":
    case "unsupported":
    case "closed":
    case "busy":
    case "clock":
      return EXIT_CODES.failed;
  }
  return EXIT_CODES.failed;
}
