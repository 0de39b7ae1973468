import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, askServer } from "../administer.ts";
import { type Command, type CommandFlag, type CommandInput, flagValue } from "../command.ts";
import { pairs, table } from "../output.ts";

const HOURS_DEFAULT = "24";
const HOURS_MAX = 168;
const REACH_FLAGS: readonly CommandFlag[] = [
  {
    flag: "address",
    placeholder: "URL",
    description: "Where other sites reach this one: scheme, host and port",
    repeatable: true,
  },
  {
    ...{ flag: "insecure-peer", placeholder: undefined },
    description: "Allow plain http: all but keys goes in the clear",
  },
];

const replInvite: Command = {
  name: "repl-invite",
  summary: "Print a token by which one other site may join the cluster",
  flags: [
    ...REACH_FLAGS,
    {
      flag: "hours",
      placeholder: "COUNT",
      description: `How long the token may be used: ${HOURS_DEFAULT}, at most ${HOURS_MAX}`,
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll repl-invite --address https://berlin.example.net:9000"],
  run: (input) => {
    const body = { ...reachOf(input), hours: readHours(input) };
    return askServer(input, "POST", "sites/invite", { body, show: showToken });
  },
};

const replJoin: Command = {
  name: "repl-join",
  summary: "Join the cluster of the site that gave the token out",
  operands: ["token"],
  flags: REACH_FLAGS,
  settings: "place",
  json: true,
  examples: ["atoll repl-join atoll-join-1.q83vEjRW --address https://paris.example.net:9000"],
  run: (input) => {
    const body = { ...reachOf(input), token: input.operands[0] ?? "" };
    return askServer(input, "POST", "sites/join", { body, show: showJoined });
  },
};

const replRemove: Command = {
  name: "repl-remove",
  summary: "Remove a site from the cluster, whether it runs or not",
  operands: ["site"],
  settings: "place",
  json: true,
  examples: ["atoll repl-remove paris"],
  run: (input) =>
    askServer(input, "DELETE", `sites/${encodeURIComponent(input.operands[0] ?? "")}`, {
      show: showRemoved,
    }),
};

const replSites: Command = {
  name: "repl-sites",
  summary: "List the sites of the cluster",
  settings: "place",
  json: true,
  examples: ["atoll repl-sites", "atoll repl-sites --json"],
  run: (input) => askServer(input, "GET", "sites", { show: showSites }),
};

export const MEMBER_COMMANDS: readonly Command[] = [replInvite, replJoin, replRemove, replSites];

function readHours(input: CommandInput): number {
  const hours = Number(flagValue(input, "hours") ?? HOURS_DEFAULT);
  if (hours >= 0.01 && hours <= HOURS_MAX) return hours;
  throw new UsageError(`--hours takes a number of hours, from 0.01 to ${HOURS_MAX}.`);
}

function reachOf(input: CommandInput): Answer {
  const insecure = input.values.has("insecure-peer");
  return { addresses: input.values.get("address") ?? [], insecure };
}

function showToken(answer: Answer): string {
  return [
    String(answer["token"]),
    "",
    `It is good for one site, until ${String(answer["expires"])}. On that site:`,
    "atoll repl-join TOKEN --address https://HOST:PORT",
  ].join("\n");
}

const TAKES_OVER = "everything; 503 for what is not here yet (atoll repl-status)";

function showJoined(answer: Answer): string {
  const peer = String(answer["peer"]);
  if (answer["outcome"] === "already") return `This site is in the cluster of ${peer} already.`;
  const unreadable = Number(answer["unreadable"]);
  return pairs([
    ["joined", `the cluster of ${peer}`],
    ["cluster", String(answer["cluster"])],
    ["sealed anew", String(answer["resealed"])],
    ...(answer["takes_over"] === true ? ([["takes over", TAKES_OVER]] as const) : []),
    ...(unreadable > 0 ? ([["not readable", String(unreadable)]] as const) : []),
  ]);
}

function showRemoved(answer: Answer): string {
  const name = String(answer["name"]);
  const homes = Array.isArray(answer["homes"]) ? answer["homes"].map(String) : [];
  const removed = `${name} was removed: nothing it writes is taken now.`;
  if (homes.length === 0) return removed;
  return [
    removed,
    "It was the home of these buckets, whose conditional writes are refused until another site is:",
    ...homes.map((bucket) => `atoll repl-home set ${bucket} SITE --force`),
  ].join("\n");
}

function showSites(answer: Answer): string {
  const sites = Array.isArray(answer["sites"]) ? answer["sites"].filter(isRecord) : [];
  if (sites.length === 0) return "This site is alone: `atoll repl-invite` lets another one join.";
  const rows = sites.map((site) => [
    `${String(site["name"])}${site["self"] === true ? " (this site)" : ""}`,
    String(site["state"]),
    String(site["id"]),
    Array.isArray(site["addresses"]) ? site["addresses"].join(" ") : "",
  ]);
  return table(["SITE", "STATE", "ID", "ADDRESSES"], rows);
}
