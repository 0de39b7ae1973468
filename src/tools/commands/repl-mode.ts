import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, askServer } from "../administer.ts";
import type { Command, CommandInput } from "../command.ts";
import { table } from "../output.ts";

const MODES: readonly string[] = ["bytes-first", "metadata-first"];

const set: Command = {
  name: "repl-mode set",
  summary: "Say whether other sites show large objects of a bucket before they have their bytes",
  operands: ["bucket", "mode"],
  settings: "place",
  json: true,
  examples: ["atoll repl-mode set media metadata-first", "atoll repl-mode set media bytes-first"],
  run(input) {
    const mode = input.operands[1] ?? "";
    if (!MODES.includes(mode)) throw new UsageError(`A mode is one of ${MODES.join(", ")}.`);
    return askServer(input, "PUT", modePath(input), { body: { mode }, show: showMode });
  },
};

const show: Command = {
  name: "repl-mode show",
  summary: "Show whether a bucket is replicated bytes first or metadata first",
  operands: ["bucket"],
  settings: "place",
  json: true,
  examples: ["atoll repl-mode show media"],
  run: (input) => askServer(input, "GET", modePath(input), { show: showMode }),
};

const list: Command = {
  name: "repl-mode list",
  summary: "List the buckets that are replicated metadata first, and what is missing of them here",
  settings: "place",
  json: true,
  examples: ["atoll repl-mode list"],
  run: (input) => askServer(input, "GET", "repl-modes", { show: showModes }),
};

export const REPL_MODE_COMMANDS: readonly Command[] = [set, show, list];

function modePath(input: CommandInput): string {
  return `repl-modes/${encodeURIComponent(input.operands[0] ?? "")}`;
}

function showMode(answer: Answer): string {
  return `The bucket ${answer["bucket"]} is replicated ${answer["mode"]}.`;
}

function showModes(answer: Answer): string {
  const buckets = Array.isArray(answer["buckets"]) ? answer["buckets"].filter(isRecord) : [];
  const rows = buckets.map((bucket) => [String(bucket["bucket"]), String(bucket["mode"])]);
  const shown =
    rows.length === 0 ? "Every bucket is bytes-first." : table(["BUCKET", "MODE"], rows);
  const missing = Number(answer["remote_bodies"] ?? 0);
  if (missing === 0) return shown;
  const bytes = String(answer["remote_bytes"]);
  return `${shown}\n\n${missing} bodies of ${bytes} bytes in all stand at other sites only.`;
}
