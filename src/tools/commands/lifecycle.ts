import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, administer } from "../administer.ts";
import { type Command, flagValue } from "../command.ts";
import { pairs, table } from "../output.ts";

const plan: Command = {
  name: "lifecycle plan",
  summary: "Show what the lifecycle of a bucket will do and when, without doing it",
  operands: ["bucket"],
  flags: [
    {
      flag: "limit",
      placeholder: "COUNT",
      description: "How many to show, the soonest first (100)",
    },
  ],
  settings: "place",
  json: true,
  examples: ["atoll lifecycle plan photos", "atoll lifecycle plan photos --limit 10 --json"],
  run(input) {
    const limit = flagValue(input, "limit");
    if (limit !== undefined && !/^\d{1,6}$/.test(limit)) {
      throw new UsageError("--limit takes a whole number.");
    }
    const bucket = input.operands[0] ?? "";
    const body = limit === undefined ? { bucket } : { bucket, limit: Number(limit) };
    return administer(input, "POST", "lifecycle/plan", { body, show: showPlan });
  },
};

const run: Command = {
  name: "lifecycle run",
  summary: "Carry out what lifecycles want now, in one bucket or in all of them",
  optionalOperands: ["bucket"],
  settings: "place",
  json: true,
  examples: ["atoll lifecycle run", "atoll lifecycle run photos"],
  run(input) {
    const bucket = input.operands[0];
    const body = bucket === undefined ? {} : { bucket };
    return administer(input, "POST", "lifecycle/run", { body, show: showCounts });
  },
};

const status: Command = {
  name: "lifecycle status",
  summary: "Show what lifecycles have done since the server started",
  settings: "place",
  json: true,
  examples: ["atoll lifecycle status"],
  run: (input) => administer(input, "GET", "lifecycle", { show: showStatus }),
};

export const LIFECYCLE_COMMANDS: readonly Command[] = [plan, run, status];

function showPlan(answer: Answer): string {
  const actions = Array.isArray(answer["actions"]) ? answer["actions"].filter(isRecord) : [];
  const sums = `${answer["due_now"]} due now, ${answer["later"]} later.`;
  if (actions.length === 0) return sums;
  const rows = actions.map((action) => [
    String(action["due"]),
    String(action["action"]),
    // Keys and names of rules come from clients, and may hold what a terminal would obey.
    JSON.stringify(action["key"]),
    String(action["version"] ?? action["upload"]),
    JSON.stringify(action["rule"]),
  ]);
  return `${table(["DUE", "ACTION", "KEY", "VERSION", "RULE"], rows)}\n\n${sums}`;
}

function showCounts(answer: Answer): string {
  return pairs([
    ["looked at", String(answer["examined"])],
    ["expired", String(answer["expired"])],
    ["removed", String(answer["removed"])],
    ["uploads aborted", String(answer["uploads_aborted"])],
    ["kept", String(answer["kept"])],
  ]);
}

function showStatus(answer: Answer): string {
  const facts = pairs([
    ["running", String(answer["running"])],
    ["buckets walked", String(answer["passes"])],
    ["last walk", String(answer["last_pass"] ?? "none yet")],
  ]);
  return `${facts}\n${showCounts(answer)}`;
}
