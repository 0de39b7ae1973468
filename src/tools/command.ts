import type { AdminClient } from "./admin-client.ts";
import type { ExitCode, Output } from "./output.ts";

/** One flag of a command, or a setting that it takes as a flag. */
export type CommandFlag = {
  /** Without dashes: "access-key". */
  readonly flag: string;
  /** What stands behind it; undefined for a switch. */
  readonly placeholder: string | undefined;
  readonly description: string;
  /** What holds without it, for the help. */
  readonly fallback?: string | undefined;
  readonly repeatable?: true;
};

/** One command of the operator, as the command line, its help and its tests know it. */
export type Command = {
  /** One to three words: "keys create". */
  readonly name: string;
  readonly summary: string;
  /** Names of required arguments, in order. */
  readonly operands?: readonly string[];
  /** Names of arguments that may follow those. */
  readonly optionalOperands?: readonly string[];
  readonly flags?: readonly CommandFlag[];
  /** Which settings it takes as flags: every one, or only where the data are. */
  readonly settings: "all" | "place" | "none";
  /** Whether --json means something here. */
  readonly json: boolean;
  readonly examples: readonly string[];
  readonly run: (input: CommandInput) => Promise<ExitCode>;
};

/** What was typed, and what commands work with. */
export type CommandInput = {
  readonly operands: readonly string[];
  /** Values by flag as typed, without dashes; a switch that is on has "true". */
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly output: Output;
  readonly program: Program;
};

/** What the composition root gives to commands. Settings come from the flags that were typed. */
export interface Program {
  readonly version: string;
  /** Settings that can be given as flags. */
  readonly settingFlags: readonly CommandFlag[];
  /** Serves until a signal ends it. */
  serve(input: CommandInput): Promise<ExitCode>;
  /** Values in force and where they came from, secrets cut. */
  showSettings(
    input: CommandInput,
  ): Promise<ReadonlyArray<{ name: string; value: string; source: string }>>;
  /**
   * The running server's administration; when no server runs, that of the site itself, opened
   * under LOCK for this command.
   */
  administration(input: CommandInput): Promise<AdminClient>;
  /** The running server's administration only; rejects with StorageFault "unreachable". */
  runningServer(input: CommandInput): Promise<AdminClient>;
  /** The whole of a small file that was named on the command line. */
  readFile(path: string): Promise<Uint8Array>;
  /** Builds the index anew from the segments; the server must not run. */
  rebuildIndex(input: CommandInput): Promise<Readonly<Record<string, unknown>>>;
  /** Issues again what was written with a clock that was ahead; the server must not run. */
  reissueAhead(input: CommandInput): Promise<Readonly<Record<string, unknown>>>;
}

/** The one value of a flag, undefined when it was not given. */
export function flagValue(input: CommandInput, flag: string): string | undefined {
  return input.values.get(flag)?.at(-1);
}
