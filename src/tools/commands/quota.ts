import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, administer } from "../administer.ts";
import { type Command, type CommandInput, flagValue } from "../command.ts";
import { pairs, table } from "../output.ts";

const set: Command = {
  name: "quota set",
  summary: "Bound what a bucket may hold; a limit that is not given is taken away",
  operands: ["bucket"],
  flags: [
    {
      flag: "bytes",
      placeholder: "SIZE",
      description: "Most bytes of all its objects and versions, such as 10GiB",
    },
    { flag: "objects", placeholder: "COUNT", description: "Most objects and versions" },
  ],
  settings: "place",
  json: true,
  examples: ["atoll quota set photos --bytes 10GiB", "atoll quota set photos --objects 100000"],
  run(input) {
    const bytes = flagValue(input, "bytes");
    const objects = flagValue(input, "objects");
    if (bytes === undefined && objects === undefined) {
      throw new UsageError("Give --bytes, --objects, or both.");
    }
    const body = {
      ...(bytes === undefined ? {} : { bytes: parseBytes(bytes) }),
      ...(objects === undefined ? {} : { objects: parseCount(objects) }),
    };
    return administer(input, "PUT", quotaPath(input), { body, show: showQuota });
  },
};

const show: Command = {
  name: "quota show",
  summary: "Show the quota of a bucket, and how much of it is used",
  operands: ["bucket"],
  settings: "place",
  json: true,
  examples: ["atoll quota show photos"],
  run: (input) => administer(input, "GET", quotaPath(input), { show: showQuota }),
};

const list: Command = {
  name: "quota list",
  summary: "List the buckets that have a quota",
  settings: "place",
  json: true,
  examples: ["atoll quota list", "atoll quota list --json"],
  run: (input) => administer(input, "GET", "quotas", { show: showQuotas }),
};

const remove: Command = {
  name: "quota remove",
  summary: "Let a bucket hold as much as the disk has room for",
  operands: ["bucket"],
  settings: "place",
  json: true,
  examples: ["atoll quota remove photos"],
  run: (input) => administer(input, "DELETE", quotaPath(input), { show: showQuota }),
};

export const QUOTA_COMMANDS: readonly Command[] = [set, show, list, remove];

function quotaPath(input: CommandInput): string {
  return `quotas/${encodeURIComponent(input.operands[0] ?? "")}`;
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["kib", 1024],
  ["mib", 1024 ** 2],
  ["gib", 1024 ** 3],
  ["tib", 1024 ** 4],
]);

function parseBytes(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,15})\s*([a-z]*)$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS.get(unit.toLowerCase()) ?? Number.NaN);
  if (digits !== "" && Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError("--bytes takes a size such as 512MiB, 10GiB or a number of bytes.");
}

function parseCount(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new UsageError("--objects takes a whole number.");
}

function limitOf(answer: Answer, name: string): string {
  return String(answer[name] ?? "unlimited");
}

function showQuota(answer: Answer): string {
  return pairs([
    ["bucket", String(answer["bucket"])],
    ["bytes", `${answer["used_bytes"]} of ${limitOf(answer, "bytes")}`],
    ["objects", `${answer["used_objects"]} of ${limitOf(answer, "objects")}`],
  ]);
}

function showQuotas(answer: Answer): string {
  const quotas = Array.isArray(answer["quotas"]) ? answer["quotas"].filter(isRecord) : [];
  if (quotas.length === 0) return "No bucket has a quota.";
  const rows = quotas.map((quota) => [
    String(quota["bucket"]),
    String(quota["used_bytes"]),
    limitOf(quota, "bytes"),
    String(quota["used_objects"]),
    limitOf(quota, "objects"),
  ]);
  return table(["BUCKET", "BYTES", "OF", "OBJECTS", "OF"], rows);
}
