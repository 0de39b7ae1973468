import { CommanderError, Command as Parser } from "commander";
import { UsageError } from "../core/usage-error.ts";
import type { Command, CommandFlag, Program } from "./command.ts";
import { CLOCK_COMMANDS } from "./commands/clock.ts";
import { configShowCommand } from "./commands/config-show.ts";
import { CONFLICT_COMMANDS } from "./commands/conflicts.ts";
import { KEY_RING_COMMANDS } from "./commands/key-ring.ts";
import { KEY_COMMANDS } from "./commands/keys.ts";
import { LIFECYCLE_COMMANDS } from "./commands/lifecycle.ts";
import { POLICY_COMMANDS } from "./commands/policies.ts";
import { QUOTA_COMMANDS } from "./commands/quota.ts";
import { rebuildIndexCommand } from "./commands/rebuild-index.ts";
import { REPL_HOME_COMMANDS } from "./commands/repl-home.ts";
import { MEMBER_COMMANDS } from "./commands/repl-members.ts";
import { REPL_MODE_COMMANDS } from "./commands/repl-mode.ts";
import { replPullCommand, replPushCommand } from "./commands/repl-moves.ts";
import { replParkedCommand } from "./commands/repl-parked.ts";
import { replBootstrapCommand, replVerifyCommand } from "./commands/repl-rows.ts";
import { replStatusCommand } from "./commands/repl-status.ts";
import { serveCommand } from "./commands/serve.ts";
import { statusCommand } from "./commands/status.ts";
import { versionCommand } from "./commands/version.ts";
import {
  createOutput,
  EXIT_CODES,
  type ExitCode,
  exitCodeOf,
  explain,
  isReaderGone,
  type Output,
  type OutputEnd,
  watchOutput,
} from "./output.ts";

/** Everything an operator can ask for, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  statusCommand,
  ...KEY_COMMANDS,
  ...POLICY_COMMANDS,
  ...KEY_RING_COMMANDS,
  ...LIFECYCLE_COMMANDS,
  ...QUOTA_COMMANDS,
  ...CONFLICT_COMMANDS,
  replPullCommand,
  replPushCommand,
  ...MEMBER_COMMANDS,
  replBootstrapCommand,
  replStatusCommand,
  ...REPL_HOME_COMMANDS,
  ...REPL_MODE_COMMANDS,
  replVerifyCommand,
  replParkedCommand,
  ...CLOCK_COMMANDS,
  configShowCommand,
  rebuildIndexCommand,
  versionCommand,
];

const GROUPS: Readonly<Record<string, string>> = {
  keys: "Manage access keys",
  "keys policy": "Manage what access keys may do",
  "keys ring": "Manage the keys that seal secrets and encrypted objects",
  policy: "Check policies and explain what they decide",
  lifecycle: "See and carry out what lifecycles want",
  conflicts: "See and settle writes that lost to others unknown to them",
  clock: "See whether a site believes its clock",
  "repl-home": "Let one site alone judge conditional writes of a bucket",
  "repl-mode": "Show large objects of a bucket elsewhere before their bytes",
  quota: "Bound what buckets may hold",
  config: "Look at the settings",
};

const CONFIG_FLAG: CommandFlag = {
  flag: "config",
  placeholder: "FILE",
  description: "Settings file (JSON), instead of atoll.json in the data directory",
};

const INTRODUCTION = `An S3-compatible object store that keeps what it acknowledges.`;

const EPILOGUE = `
Settings can also stand in the environment (ATOLL_…) or in a JSON file; docs/CONFIG.md lists them.
Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 found damage, 4 locked or unreachable.`;

/**
 * Runs what was typed (without the program's own name) and gives the exit code. Failures are told
 * in one sentence; nothing is thrown.
 */
export async function runCommandLine(
  program: Program,
  typed: readonly string[],
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT_CODES.fine;
  const end = watchOutput();
  const parser = newParser("atoll")
    .description(INTRODUCTION)
    .version(program.version, "-V, --version", "print the version")
    .addHelpText("after", EPILOGUE);
  for (const command of COMMANDS) {
    const sub = place(parser, program, command);
    sub.action(async (..._operands: unknown[]) => {
      exitCode = await run({ program, command, sub, end });
    });
  }
  try {
    await parser.parseAsync([...typed], { from: "user" });
    return exitCode;
  } catch (failure) {
    // Commander has written its message already: help and versions are fine, the rest is usage.
    if (!(failure instanceof CommanderError)) throw failure;
    if (failure.exitCode !== 0) return EXIT_CODES.usage;
    return end.flush().then(
      () => EXIT_CODES.fine,
      (unwritten: unknown) => failed(createOutput(false), "atoll", unwritten),
    );
  } finally {
    end.stop();
  }
}

/** Tells of a failure, but not to a reader who went away. */
function failed(output: Output, what: string, failure: unknown): ExitCode {
  if (!isReaderGone(failure)) output.notice(`${what}: ${explain(failure)}`);
  return exitCodeOf(failure);
}

type Run = {
  readonly program: Program;
  readonly command: Command;
  readonly sub: Parser;
  readonly end: OutputEnd;
};

async function run({ program, command, sub, end }: Run): Promise<ExitCode> {
  const options: Record<string, unknown> = sub.opts();
  const output = createOutput(options["json"] === true);
  const values = new Map<string, readonly string[]>();
  for (const { flag } of flagsOf(program, command)) {
    const value = options[camelCase(flag)];
    if (value !== undefined) values.set(flag, Array.isArray(value) ? value : [String(value)]);
  }
  try {
    // As of a variable of a script that is not set; no name is empty.
    if (sub.args.includes("")) throw new UsageError("An argument is empty.", tryHelp(command));
    const input = { operands: sub.args, values, output, program };
    const exitCode = await Promise.race([command.run(input), end.broken]);
    await end.flush();
    return exitCode;
  } catch (failure) {
    return failed(output, `atoll ${command.name}`, failure);
  }

  function camelCase(flag: string): string {
    return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  }
}

function tryHelp({ name }: Command): string {
  return `Try: atoll ${name} --help`;
}

/** Makes the parser of a command, under the groups that the words before its last one name. */
function place(parser: Parser, program: Program, command: Command): Parser {
  const words = command.name.split(" ");
  const last = words.pop() ?? "";
  let parent = parser;
  for (const at of words.keys()) parent = groupOf(parent, words.slice(0, at + 1));
  const sub = newParser(last).description(command.summary).showHelpAfterError(tryHelp(command));
  for (const operand of command.operands ?? []) sub.argument(`<${operand}>`);
  for (const operand of command.optionalOperands ?? []) sub.argument(`[${operand}]`);
  for (const flag of flagsOf(program, command)) addFlag(sub, flag);
  if (command.json) sub.option("--json", "print JSON, for programs");
  sub.addHelpText(
    "after",
    `\nExamples:\n${command.examples.map((line) => `  ${line}`).join("\n")}`,
  );
  parent.addCommand(sub);
  return sub;
}

function addFlag(sub: Parser, { flag, placeholder, fallback, ...more }: CommandFlag): void {
  const { description, repeatable } = more;
  // A switch is off without it, and what is empty says nothing.
  const told = placeholder === undefined || fallback === undefined || fallback === "";
  const plain = description.replaceAll("`", "") + (told ? "" : ` Default: ${fallback}`);
  if (placeholder === undefined) sub.option(`--${flag}`, plain);
  else if (repeatable !== true) sub.option(`--${flag} <${placeholder}>`, plain);
  else {
    const collect = (value: string, before: readonly string[] = []): string[] => [...before, value];
    sub.option(`--${flag} <${placeholder}>`, `${plain} (repeatable)`, collect);
  }
}

function groupOf(parser: Parser, words: readonly string[]): Parser {
  const name = words.at(-1) ?? "";
  const known = parser.commands.find((candidate) => candidate.name() === name);
  if (known !== undefined) return known;
  const group = newParser(name).description(GROUPS[words.join(" ")] ?? "");
  parser.addCommand(group);
  return group;
}

function newParser(name: string): Parser {
  return (
    new Parser(name)
      .exitOverride()
      .showSuggestionAfterError()
      .showHelpAfterError(`Try: atoll help`)
      // Told as everything else is: nobody may read it any more.
      .configureOutput({ writeErr: (text) => createOutput(false).notice(text.trimEnd()) })
      .configureHelp({ sortSubcommands: false })
  );
}

/** Only the server makes a directory that is not there. */
function placeFlags({ settingFlags }: Program): readonly CommandFlag[] {
  const data = settingFlags.filter(({ flag }) => flag === "data");
  const description = "Data directory of the site.";
  return [...data.map((flag) => ({ ...flag, description })), CONFIG_FLAG];
}

function flagsOf(program: Program, command: Command): readonly CommandFlag[] {
  const own = command.flags ?? [];
  switch (command.settings) {
    case "none":
      return own;
    case "place":
      return [...own, ...placeFlags(program)];
    case "all":
      return [...own, ...program.settingFlags, CONFIG_FLAG];
  }
  return own;
}
