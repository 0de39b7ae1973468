import { isRecord } from "../admin-client.ts";
import { type Answer, askServer } from "../administer.ts";
import type { Command, CommandFlag, CommandInput } from "../command.ts";
import { pairs, table } from "../output.ts";

const FORCE: CommandFlag = {
  flag: "force",
  placeholder: undefined,
  description: "Take the role from a site that cannot hand it over any more",
};

const set: Command = {
  name: "repl-home set",
  summary: "Let one site alone judge the conditional writes and appends of a bucket",
  operands: ["bucket", "site"],
  flags: [FORCE],
  settings: "place",
  json: true,
  examples: ["atoll repl-home set photos berlin", "atoll repl-home set photos paris --force"],
  run(input) {
    const body = { site: input.operands[1] ?? "", force: input.values.has("force") };
    return askServer(input, "PUT", homePath(input), { body, show: showHome });
  },
};

const show: Command = {
  name: "repl-home show",
  summary: "Show which site judges the conditional writes of a bucket",
  operands: ["bucket"],
  settings: "place",
  json: true,
  examples: ["atoll repl-home show photos"],
  run: (input) => askServer(input, "GET", homePath(input), { show: showHome }),
};

const list: Command = {
  name: "repl-home list",
  summary: "List the buckets that have a home site",
  settings: "place",
  json: true,
  examples: ["atoll repl-home list"],
  run: (input) => askServer(input, "GET", "repl-homes", { show: showHomes }),
};

const remove: Command = {
  name: "repl-home remove",
  summary: "Let every site judge conditional writes of a bucket by itself again",
  operands: ["bucket"],
  flags: [FORCE],
  settings: "place",
  json: true,
  examples: ["atoll repl-home remove photos"],
  run(input) {
    const body = { force: input.values.has("force") };
    return askServer(input, "DELETE", homePath(input), { body, show: showHome });
  },
};

export const REPL_HOME_COMMANDS: readonly Command[] = [set, show, list, remove];

function homePath(input: CommandInput): string {
  return `repl-homes/${encodeURIComponent(input.operands[0] ?? "")}`;
}

function showHome(answer: Answer): string {
  if (answer["site"] === undefined) return `The bucket ${answer["bucket"]} has no home site.`;
  return pairs([
    ["bucket", String(answer["bucket"])],
    ["home", `${answer["name"]} (${answer["site"]})`],
    ["epoch", String(answer["epoch"])],
  ]);
}

function showHomes(answer: Answer): string {
  const homes = Array.isArray(answer["homes"]) ? answer["homes"].filter(isRecord) : [];
  if (homes.length === 0) return "No bucket has a home site.";
  const rows = homes.map((home) => [
    String(home["bucket"]),
    String(home["name"]),
    String(home["site"]),
    String(home["epoch"]),
  ]);
  return table(["BUCKET", "HOME", "SITE", "EPOCH"], rows);
}
