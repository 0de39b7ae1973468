import { expectSuccess } from "../admin-client.ts";
import type { Answer } from "../administer.ts";
import type { Command, CommandInput } from "../command.ts";
import { EXIT_CODES, type ExitCode } from "../output.ts";

const show: Command = {
  name: "clock show",
  summary: "Show whether a site with peers believes its own clock",
  settings: "place",
  json: true,
  examples: ["atoll clock show"],
  run: (input) => ask(input, "GET", "clock", showClock),
};

const accept: Command = {
  name: "clock accept",
  summary: "Say that a clock that jumped is right, so that writes go on",
  settings: "place",
  json: true,
  examples: ["atoll clock accept"],
  run: (input) =>
    ask(input, "POST", "clock/accept", (answer) =>
      answer["accepted"] === true
        ? "The clock is believed as it is; writes go on."
        : "The clock was believed already.",
    ),
};

const reissue: Command = {
  name: "clock reissue",
  summary: "Issue again what was written with a clock that was ahead; the server must not run",
  settings: "place",
  json: true,
  examples: ["atoll clock reissue", "atoll clock reissue --data /srv/atoll"],
  async run(input) {
    const report = await input.program.reissueAhead(input);
    input.output.result(report, () => showReissued(report));
    return EXIT_CODES.fine;
  },
};

export const CLOCK_COMMANDS: readonly Command[] = [show, accept, reissue];

/** Only a server that runs has a clock to be watched. */
async function ask(
  input: CommandInput,
  method: string,
  path: string,
  explain: (answer: Answer) => string,
): Promise<ExitCode> {
  const client = await input.program.runningServer(input);
  try {
    const answer = expectSuccess(await client.call(method, path));
    input.output.result(answer, () => explain(answer));
    return EXIT_CODES.fine;
  } finally {
    await client.close();
  }
}

const WITNESSES: Readonly<Record<string, string>> = {
  monotonic: "It jumped forward.",
  peers: "It is ahead of the clocks of most sites.",
};

function showReissued({ operations, clock, latest }: Answer): string {
  if (operations === 0) {
    const help = "If that is not the time, set it right first.";
    return `Nothing was written ahead of the clock, which says ${clock}.\n${help}`;
  }
  const what = `${operations} ${operations === 1 ? "operation" : "operations"} up to ${latest}`;
  const help = "Other sites get them once the server runs.";
  return `${what} were withdrawn, and issued again with the time of now.\n${help}`;
}

function showClock(answer: Answer): string {
  if (answer["state"] === "trusted") return "The clock is believed.";
  const witness = WITNESSES[String(answer["witness"])] ?? "";
  const ahead = `the clock is ${answer["ahead_seconds"]} s ahead.`;
  const help = "Set it right, or say that it is: atoll clock accept";
  return `Since ${answer["since"]} writes wait: ${ahead} ${witness}\n${help}`;
}
