import type { Command } from "../command.ts";
import { EXIT_CODES, pairs } from "../output.ts";

export const rebuildIndexCommand: Command = {
  name: "rebuild-index",
  summary: "Build the index anew from the segments; the server must not run",
  settings: "place",
  json: true,
  examples: ["atoll rebuild-index", "atoll rebuild-index --data /srv/atoll"],
  async run(input) {
    const report = await input.program.rebuildIndex(input);
    input.output.result(report, () =>
      pairs(
        Object.entries(report).map(([name, value]) => [name.replaceAll("_", " "), String(value)]),
      ),
    );
    return EXIT_CODES.fine;
  },
};
