import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, administer } from "../administer.ts";
import { type Command, type CommandInput, flagValue } from "../command.ts";
import { pairs, table } from "../output.ts";

const list: Command = {
  name: "conflicts list",
  summary: "List writes that lost to others which did not know of them",
  optionalOperands: ["bucket"],
  flags: [
    { flag: "limit", placeholder: "COUNT", description: "List so many: 100" },
    { flag: "after", placeholder: "TEXT", description: "Go on where the list before ended" },
  ],
  settings: "place",
  json: true,
  examples: ["atoll conflicts list", "atoll conflicts list photos --json"],
  run(input) {
    const limit = flagValue(input, "limit");
    if (limit !== undefined && !/^\d{1,4}$/.test(limit)) {
      throw new UsageError("--limit takes a whole number.");
    }
    const [bucket] = input.operands;
    const after = flagValue(input, "after");
    const body = {
      ...(bucket === undefined ? {} : { bucket }),
      ...(after === undefined ? {} : { after }),
      ...(limit === undefined ? {} : { limit: Number(limit) }),
    };
    return administer(input, "POST", "conflicts/list", { body, show: showList });
  },
};

const show: Command = {
  name: "conflicts show",
  summary: "Show one conflict beside what stands in its place",
  operands: ["bucket", "key", "version"],
  settings: "place",
  json: true,
  examples: ["atoll conflicts show photos cat.jpg 0193fb2ac4d80000a1b2c3d4e5f60718"],
  run: (input) => administer(input, "POST", "conflicts/show", { body: nameOf(input), show: one }),
};

const keep: Command = {
  name: "conflicts keep",
  summary: "Keep what stands there, and drop every conflict of the key, at all sites",
  operands: ["bucket", "key"],
  settings: "place",
  json: true,
  examples: ["atoll conflicts keep photos cat.jpg"],
  run: (input) => settle(input, "keep"),
};

const restore: Command = {
  name: "conflicts restore",
  summary: "Write a conflict again, so that it takes the place of what stands there",
  operands: ["bucket", "key", "version"],
  settings: "place",
  json: true,
  examples: ["atoll conflicts restore photos cat.jpg 0193fb2ac4d80000a1b2c3d4e5f60718"],
  run: (input) => settle(input, "restore"),
};

const discard: Command = {
  name: "conflicts discard",
  summary: "Drop one conflict, at all sites",
  operands: ["bucket", "key", "version"],
  settings: "place",
  json: true,
  examples: ["atoll conflicts discard photos cat.jpg 0193fb2ac4d80000a1b2c3d4e5f60718"],
  run: (input) => settle(input, "discard"),
};

export const CONFLICT_COMMANDS: readonly Command[] = [list, show, keep, restore, discard];

function nameOf({ operands }: CommandInput): Record<string, string> {
  const [bucket = "", key = "", version] = operands;
  return { bucket, key, ...(version === undefined ? {} : { version }) };
}

function settle(input: CommandInput, wish: string): ReturnType<Command["run"]> {
  const body = { ...nameOf(input), wish };
  return administer(input, "POST", "conflicts/settle", {
    body,
    show: (answer) => `${answer["settled"]} settled.`,
  });
}

function showList(answer: Answer): string {
  const conflicts = Array.isArray(answer["conflicts"]) ? answer["conflicts"].filter(isRecord) : [];
  if (conflicts.length === 0) return "There are no conflicts.";
  const rows = conflicts.map((conflict) => [
    String(conflict["bucket"]),
    // Keys come from clients, and may hold what a terminal would obey.
    JSON.stringify(conflict["key"]),
    String(conflict["version"]),
    String(conflict["size"]),
    String(conflict["last_modified"]),
  ]);
  const shown = table(["BUCKET", "KEY", "VERSION", "BYTES", "WRITTEN"], rows);
  const { next } = answer;
  return next === undefined ? shown : `${shown}\n\nThere are more: --after ${next}`;
}

function one(answer: Answer): string {
  const { current } = answer;
  const standing = isRecord(current)
    ? `${current["size"]} bytes, ${current["etag"]}, ${current["last_modified"]}`
    : "deleted";
  return pairs([
    ["bucket", String(answer["bucket"])],
    ["key", JSON.stringify(answer["key"])],
    ["version", String(answer["version"])],
    ["bytes", String(answer["size"])],
    ["ETag", String(answer["etag"])],
    ["written", String(answer["last_modified"])],
    ["stands there", standing],
  ]);
}
