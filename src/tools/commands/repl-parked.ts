import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, askServer } from "../administer.ts";
import { type Command, flagValue } from "../command.ts";
import { EXIT_CODES, table } from "../output.ts";

export const replParkedCommand: Command = {
  name: "repl-parked",
  summary: "List writes of other sites that wait for their bytes, or give up those that are lost",
  flags: [
    { flag: "limit", placeholder: "COUNT", description: "List so many: 100" },
    {
      ...{ flag: "give-up", placeholder: undefined },
      description: "Ask every site once more, and end at all sites what none of them has",
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll repl-parked", "atoll repl-parked --give-up"],
  run(input) {
    if (input.values.has("give-up")) {
      return askServer(input, "POST", "repl-parked/give-up", {
        show: showGivenUp,
        exitCode: ({ kept }) => (Number(kept) > 0 ? EXIT_CODES.failed : EXIT_CODES.fine),
      });
    }
    const limit = flagValue(input, "limit");
    if (limit !== undefined && !/^\d{1,4}$/.test(limit)) {
      throw new UsageError("--limit takes a whole number.");
    }
    const body = limit === undefined ? {} : { limit: Number(limit) };
    return askServer(input, "POST", "repl-parked/list", { body, show: showList });
  },
};

function showList(answer: Answer): string {
  const writes = Array.isArray(answer["writes"]) ? answer["writes"].filter(isRecord) : [];
  if (answer["operations"] === 0) return "Nothing is parked.";
  const rows = writes.map((write) => [
    String(write["bucket"]),
    // Keys come from clients, and may hold what a terminal would obey.
    JSON.stringify(write["key"]),
    ...["version", "bytes", "written", "reason"].map((name) => String(write[name])),
  ]);
  const shown = table(["BUCKET", "KEY", "VERSION", "BYTES", "WRITTEN", "REASON"], rows);
  return `${shown}\n\n${String(answer["operations"])} operations are parked.`;
}

function showGivenUp({ ended, kept, reasons }: Answer): string {
  const lines = [`${String(ended)} ended, ${String(kept)} stay parked.`];
  for (const reason of Array.isArray(reasons) ? reasons : []) lines.push(`- ${String(reason)}`);
  return lines.join("\n");
}
