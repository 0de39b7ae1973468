import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { type Answer, administer } from "../administer.ts";
import { type Command, type CommandFlag, type CommandInput, flagValue } from "../command.ts";
import { pairs, table } from "../output.ts";

const KEY_FLAG: CommandFlag = {
  flag: "key",
  placeholder: "ID",
  description: "All buckets together that this access key has made, instead of one",
};

const set: Command = {
  name: "quota set",
  summary: "Bound what a bucket, or all buckets made by a key, may hold",
  optionalOperands: ["bucket"],
  flags: [
    KEY_FLAG,
    {
      flag: "bytes",
      placeholder: "SIZE",
      description: "Most bytes of all objects and versions, such as 10GiB",
    },
    { flag: "objects", placeholder: "COUNT", description: "Most objects and versions" },
  ],
  settings: "place",
  json: true,
  examples: [
    "atoll quota set photos --bytes 10GiB",
    "atoll quota set photos --objects 100000",
    "atoll quota set --key ATOLEXAMPLE --bytes 1TiB",
  ],
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
  summary: "Show a quota, and how much of it is used",
  optionalOperands: ["bucket"],
  flags: [KEY_FLAG],
  settings: "place",
  json: true,
  examples: ["atoll quota show photos", "atoll quota show --key ATOLEXAMPLE"],
  run: (input) => administer(input, "GET", quotaPath(input), { show: showQuota }),
};

const list: Command = {
  name: "quota list",
  summary: "List the buckets and access keys that have a quota",
  settings: "place",
  json: true,
  examples: ["atoll quota list", "atoll quota list --json"],
  run: (input) => administer(input, "GET", "quotas", { show: showQuotas }),
};

const remove: Command = {
  name: "quota remove",
  summary: "Take a quota away",
  optionalOperands: ["bucket"],
  flags: [KEY_FLAG],
  settings: "place",
  json: true,
  examples: ["atoll quota remove photos", "atoll quota remove --key ATOLEXAMPLE"],
  run: (input) => administer(input, "DELETE", quotaPath(input), { show: showQuota }),
};

export const QUOTA_COMMANDS: readonly Command[] = [set, show, list, remove];

function quotaPath(input: CommandInput): string {
  const [bucket] = input.operands;
  const key = flagValue(input, "key");
  if ((bucket === undefined) === (key === undefined)) {
    throw new UsageError("Name a bucket, or an access key with --key.");
  }
  return key === undefined
    ? `quotas/${encodeURIComponent(bucket ?? "")}`
    : `quotas/keys/${encodeURIComponent(key)}`;
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
  const made = answer["buckets"];
  return pairs([
    ...(made === undefined
      ? ([["bucket", String(answer["bucket"])]] as const)
      : ([
          ["access key", String(answer["access_key"])],
          ["buckets", String(made)],
        ] as const)),
    ["bytes", `${answer["used_bytes"]} of ${limitOf(answer, "bytes")}`],
    ["objects", `${answer["used_objects"]} of ${limitOf(answer, "objects")}`],
  ]);
}

function showQuotas(answer: Answer): string {
  const tables = [
    quotaTable("BUCKET", "bucket", answer["quotas"]),
    quotaTable("ACCESS KEY", "access_key", answer["keys"]),
  ].filter((one) => one !== undefined);
  return tables.length === 0 ? "No bucket and no access key has a quota." : tables.join("\n\n");
}

function quotaTable(title: string, name: string, rows: unknown): string | undefined {
  const quotas = Array.isArray(rows) ? rows.filter(isRecord) : [];
  if (quotas.length === 0) return undefined;
  const lines = quotas.map((quota) => [
    String(quota[name]),
    String(quota["used_bytes"]),
    limitOf(quota, "bytes"),
    String(quota["used_objects"]),
    limitOf(quota, "objects"),
  ]);
  return table([title, "BYTES", "OF", "OBJECTS", "OF"], lines);
}
