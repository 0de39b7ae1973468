import type { Command } from "../command.ts";
import { EXIT_CODES, table } from "../output.ts";

export const configShowCommand: Command = {
  name: "config show",
  summary: "Show each setting that serve would have here, and where it came from; no secrets",
  settings: "all",
  json: true,
  examples: ["atoll config show", "ATOLL_REGION=eu-1 atoll config show --json"],
  async run(input) {
    const settings = await input.program.showSettings(input);
    input.output.result({ settings }, () =>
      table(
        ["SETTING", "VALUE", "SOURCE"],
        settings.map(({ name, value, source }) => [name, value, source]),
      ),
    );
    return EXIT_CODES.fine;
  },
};
