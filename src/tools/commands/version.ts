import type { Command } from "../command.ts";
import { EXIT_CODES } from "../output.ts";

export const versionCommand: Command = {
  name: "version",
  summary: "Print the version of this program",
  settings: "none",
  json: true,
  examples: ["atoll version", "atoll version --json"],
  async run({ output, program }) {
    const facts = { version: program.version, node: process.version, platform: process.platform };
    output.result(facts, () => program.version);
    return EXIT_CODES.fine;
  },
};
