import { expectSuccess, isRecord } from "../admin-client.ts";
import type { Command } from "../command.ts";
import { EXIT_CODES, pairs } from "../output.ts";

export const statusCommand: Command = {
  name: "status",
  summary: "Show what the running server of a data directory is doing",
  settings: "place",
  json: true,
  examples: ["atoll status", "atoll status --data /srv/atoll --json"],
  async run(input) {
    const client = await input.program.runningServer(input);
    const status = expectSuccess(await client.call("GET", "status"));
    input.output.result(status, () => pairs(flatten(status)));
    return EXIT_CODES.fine;
  },
};

function flatten(value: Readonly<Record<string, unknown>>, prefix = ""): Array<[string, string]> {
  return Object.entries(value).flatMap(([name, inner]): Array<[string, string]> => {
    if (name === "schema_version") return [];
    const label = `${prefix}${name.replaceAll("_", " ")}`;
    return isRecord(inner) ? flatten(inner, `${label} `) : [[label, String(inner)]];
  });
}
