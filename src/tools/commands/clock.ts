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

export const CLOCK_COMMANDS: readonly Command[] = [show, accept];

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

function showClock(answer: Answer): string {
  if (answer["state"] === "trusted") return "The clock is believed.";
  const witness = WITNESSES[String(answer["witness"])] ?? "";
  const ahead = `the clock is ${answer["ahead_seconds"]} s ahead.`;
  const help = "Set it right, or say that it is: atoll clock accept";
  return `Since ${answer["since"]} writes wait: ${ahead} ${witness}\n${help}`;
}
