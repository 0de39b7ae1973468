import { resolve } from "node:path";
import { z } from "zod";
import {
  accessKey,
  byteSize,
  decimal,
  domain,
  domainList,
  listenAddress,
  onOrOff,
  REPLICATION_SETTINGS,
  REQUEST_SETTINGS,
  secretKey,
  text,
} from "./config-schemas.ts";
import { errnoOf } from "./core/faults.ts";
import { nearestName, UsageError } from "./core/usage-error.ts";
import type { Disk } from "./ports/disk.ts";

/** One row per setting: all that the program, its help and docs/CONFIG.md know about it. */
type SettingRow = {
  readonly schema: z.ZodType;
  /** The default as an operator would write it; undefined when there is none. */
  readonly fallback: string | undefined;
  /** Undefined for a switch: its flag stands alone. */
  readonly placeholder: string | undefined;
  readonly description: string;
  /** Never shown, nowhere; and no flag, because every user can read a process's arguments. */
  readonly secret?: true;
  /** Where the flag is not simply the name in kebab-case. */
  readonly flag?: string;
};

export const SETTINGS = {
  data: {
    schema: text.transform((path) => resolve(path)),
    fallback: "./atoll-data",
    placeholder: "DIR",
    description: "Data directory, on a local disk. It is created if it is not there.",
  },
  listen: {
    schema: listenAddress,
    fallback: "127.0.0.1:9000",
    placeholder: "HOST:PORT",
    description: "Address of the S3 service; `:9000` means every address, port 0 any free port.",
  },
  region: {
    schema: text.regex(/^[a-z0-9-]{1,64}$/, "a region has lower-case letters, digits and hyphens"),
    fallback: "us-east-1",
    placeholder: "NAME",
    description: "Region that clients must sign for.",
  },
  domains: {
    schema: domainList,
    fallback: "",
    placeholder: "NAMES",
    description:
      "Domains, separated by commas, below which the first label of a host is a bucket's name.",
    flag: "domain",
  },
  websiteDomain: {
    schema: domain.optional(),
    fallback: undefined,
    placeholder: "NAME",
    description: "Domain below which the first label of a host is a bucket whose website is shown.",
  },
  logLevel: {
    schema: z.enum(["debug", "info", "warn", "error"]),
    fallback: "info",
    placeholder: "LEVEL",
    description: "The least important lines to log: `debug`, `info`, `warn` or `error`.",
  },
  logFormat: {
    schema: z.enum(["auto", "json", "pretty"]),
    fallback: "auto",
    placeholder: "FORMAT",
    description: "`json`, `pretty`, or `auto`: pretty on a terminal, JSON elsewhere.",
  },
  engine: {
    schema: z.enum(["uws", "node"]),
    fallback: "uws",
    placeholder: "NAME",
    description: "HTTP engine: `uws` (fast) or `node` (node:http, where uws does not load).",
  },
  directIo: {
    schema: z.enum(["auto", "on", "off"]),
    fallback: "auto",
    placeholder: "MODE",
    description: "Writing past the page cache: `on`, `off`, or `auto` (tried out at the start).",
  },
  freeReserveBytes: {
    schema: z.union([z.literal("auto").transform(() => undefined), byteSize(0)]),
    fallback: "auto",
    placeholder: "SIZE",
    description:
      "Free space below which writes are refused; `auto` is 1 GiB or 2 % of the disk, the smaller.",
    flag: "free-reserve",
  },
  segmentBytes: {
    schema: byteSize(1024 ** 2).refine((bytes) => bytes <= 4 * 1024 ** 3, "it is beyond 4GiB"),
    fallback: "1GiB",
    placeholder: "SIZE",
    description: "Size at which a segment file is sealed and a new one begun; 1MiB to 4GiB.",
    flag: "segment-size",
  },
  drainSeconds: {
    schema: decimal.pipe(z.number().min(0).max(3600)),
    fallback: "30",
    placeholder: "SECONDS",
    description: "How long a shutdown waits for requests under way.",
  },
  tlsCert: {
    schema: text.transform((path) => resolve(path)).optional(),
    fallback: undefined,
    placeholder: "FILE",
    description: "Certificate chain (PEM). With `tlsKey`, the service speaks HTTPS.",
  },
  tlsKey: {
    schema: text.transform((path) => resolve(path)).optional(),
    fallback: undefined,
    placeholder: "FILE",
    description: "Private key (PEM) of the certificate.",
  },
  tlsSelfSigned: {
    schema: onOrOff,
    fallback: "off",
    placeholder: undefined,
    description: "Speak HTTPS with a certificate of the site's own, which clients must be told of.",
  },
  tlsAuthority: {
    schema: text.transform((path) => resolve(path)).optional(),
    fallback: undefined,
    placeholder: "FILE",
    description:
      "Authority (PEM) that issued `tlsCert`, where systems do not know it: peers are told of it.",
  },
  metricsToken: {
    schema: text.min(16, "it has fewer than 16 characters").optional(),
    fallback: undefined,
    placeholder: "TOKEN",
    description: "Bearer token that may read `/v1/meta/stats` and `/v1/metrics`.",
    secret: true,
  },
  ...REQUEST_SETTINGS,
  siteName: {
    schema: text
      .regex(/^[A-Za-z0-9._-]{1,64}$/, "use 1 to 64 letters, digits, dots, hyphens and underscores")
      .optional(),
    fallback: undefined,
    placeholder: "NAME",
    description: "Name of this site for people; kept in `site.json`.",
  },
  ...REPLICATION_SETTINGS,
  rootAccessKey: {
    schema: accessKey.optional(),
    fallback: undefined,
    placeholder: "ID",
    description: "Root access key; with `rootSecretKey` it overrides `root-key.json`.",
  },
  rootSecretKey: {
    schema: secretKey.optional(),
    fallback: undefined,
    placeholder: "SECRET",
    description: "Secret of the root access key.",
    secret: true,
  },
} as const satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof SETTINGS;
export type Settings = {
  readonly [Name in SettingName]: z.output<(typeof SETTINGS)[Name]["schema"]>;
};

/** Where the value in force came from. */
export type SettingSource = "default" | "file" | "environment" | "flag";

/** A setting for the operator's eyes; secrets are cut. */
export type ShownSetting = {
  readonly name: string;
  readonly value: string;
  readonly source: SettingSource;
};

export type LoadedSettings = {
  readonly settings: Settings;
  readonly shown: readonly ShownSetting[];
};

export type SettingInput = {
  /** By setting name, as typed. `config` names the file. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  readonly disk: Pick<Disk, "readNamed">;
  /** The process's own environment when absent. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
};

type Raw = { readonly value: unknown; readonly source: SettingSource; readonly from: string };

/** Every setting, in the order of the table. */
export const SETTING_NAMES = Object.keys(SETTINGS).filter(
  (name): name is SettingName => name in SETTINGS,
);
const PREFIX = "ATOLL_";
const CONFIG_VARIABLE = `${PREFIX}CONFIG`;

/** `logLevel` as `log-level`, or the row's own name for it. */
export function flagOf(name: SettingName): string {
  const row: SettingRow = SETTINGS[name];
  return row.flag ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Whether a setting has a flag; secrets have none: every user can read a process's arguments. */
export function hasFlag(name: SettingName): boolean {
  const row: SettingRow = SETTINGS[name];
  return row.secret !== true;
}

/** `logLevel` as `ATOLL_LOG_LEVEL`. */
export function variableOf(name: SettingName): string {
  return PREFIX + name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** Settings by precedence: defaults, then the file, the environment, the flags. */
export async function loadSettings(input: SettingInput): Promise<LoadedSettings> {
  const environment = input.environment ?? process.env;
  const raw = new Map<SettingName, Raw>();
  for (const name of SETTING_NAMES) {
    raw.set(name, { value: SETTINGS[name].fallback, source: "default", from: "the defaults" });
  }
  addEnvironment(raw, environment);
  addFlags(raw, input.flags);
  const file = await readSettingsFile(input, environment, raw);
  for (const [name, found] of file) {
    if (raw.get(name)?.source === "default") raw.set(name, found);
  }
  const settings = Object.fromEntries(
    SETTING_NAMES.map((name) => [name, parseSetting(name, raw.get(name))]),
  ) as Settings;
  checkTogether(settings);
  return { settings, shown: SETTING_NAMES.map((name) => show(name, settings, raw.get(name))) };
}

/** The directory for sockets whose path in the data directory would be too long. */
export function runtimeDirectory(): string | undefined {
  return process.env["XDG_RUNTIME_DIR"];
}

/** For native libraries that read their limits from the environment while they are loaded. */
export function setEnvironment(name: string, value: string): void {
  process.env[name] = value;
}

function addEnvironment(
  raw: Map<SettingName, Raw>,
  environment: SettingInput["environment"],
): void {
  const byVariable = new Map(SETTING_NAMES.map((name) => [variableOf(name), name]));
  for (const [variable, value] of Object.entries(environment ?? {})) {
    if (!variable.startsWith(PREFIX) || variable === CONFIG_VARIABLE) continue;
    const name = byVariable.get(variable);
    if (name === undefined) throw unknownName(variable, "environment variable", byVariable.keys());
    if (value !== undefined && value !== "") {
      raw.set(name, { value, source: "environment", from: `the variable ${variable}` });
    }
  }
}

function addFlags(raw: Map<SettingName, Raw>, flags: SettingInput["flags"]): void {
  for (const name of SETTING_NAMES.filter(hasFlag)) {
    const value = flags[name];
    if (value !== undefined) {
      raw.set(name, { value, source: "flag", from: `the flag --${flagOf(name)}` });
    }
  }
}

async function readSettingsFile(
  input: SettingInput,
  environment: SettingInput["environment"],
  raw: ReadonlyMap<SettingName, Raw>,
): Promise<Map<SettingName, Raw>> {
  // A variable that is empty says nothing, like those of the settings.
  const named = input.flags["config"] ?? (environment?.[CONFIG_VARIABLE] || undefined);
  const directory = resolve(String(raw.get("data")?.value));
  const path = named === undefined ? resolve(directory, "atoll.json") : resolve(named);
  let content: string;
  try {
    content = Buffer.from(await input.disk.readNamed(path)).toString("utf8");
  } catch (failure) {
    const code = errnoOf(failure);
    if (named === undefined && (code === "ENOENT" || code === "ENOTDIR")) return new Map();
    const isClosed = named === undefined && code === "EACCES";
    throw new UsageError(
      `The settings file ${path} cannot be read (${code ?? "unknown failure"}).`,
      isClosed ? `Run atoll as the user to whom ${directory} belongs.` : undefined,
    );
  }
  const found = parseFile(path, content);
  if (named === undefined && found.has("data")) {
    throw new UsageError(
      `The settings file ${path} lies in the data directory and cannot name another one.`,
      "Remove `data` from it, or name the file with --config.",
    );
  }
  return found;
}

function parseFile(path: string, content: string): Map<SettingName, Raw> {
  let fields: Record<string, unknown>;
  try {
    fields = z.record(z.string(), z.unknown()).parse(JSON.parse(content));
  } catch {
    throw new UsageError(
      `The settings file ${path} is not a JSON object.`,
      'It looks like this: { "listen": "127.0.0.1:9000" }',
    );
  }
  const found = new Map<SettingName, Raw>();
  for (const [key, value] of Object.entries(fields)) {
    const name = SETTING_NAMES.find((candidate) => candidate === key);
    if (name === undefined) throw unknownName(key, `setting in ${path}`, SETTING_NAMES);
    found.set(name, { value, source: "file", from: path });
  }
  return found;
}

function parseSetting(name: SettingName, raw: Raw | undefined): unknown {
  const row: SettingRow = SETTINGS[name];
  const parsed = row.schema.safeParse(raw?.value);
  if (parsed.success) return parsed.data;
  const value = row.secret ? "" : ` ${JSON.stringify(raw?.value)}`;
  const why = reasons(parsed.error.issues).join("; ");
  throw new UsageError(
    `The setting ${name} from ${raw?.from} cannot be${value}: ${why}.`,
    row.description.replaceAll("`", ""),
  );
}

// A union reports the complaints of all its members; the last member's are about the usual form.
function reasons(issues: readonly z.core.$ZodIssue[]): string[] {
  return issues.flatMap((issue) =>
    issue.code === "invalid_union" && issue.errors.length > 0
      ? reasons(issue.errors.at(-1) ?? [])
      : [issue.message.replace(/^Invalid (option|input): /, "")],
  );
}

const TOGETHER = [
  ["tlsCert", "tlsKey"],
  ["rootAccessKey", "rootSecretKey"],
] as const;

function checkTogether(settings: Settings): void {
  for (const [one, other] of TOGETHER) {
    if ((settings[one] === undefined) === (settings[other] === undefined)) continue;
    throw new UsageError(`The settings ${one} and ${other} go together: give both or neither.`);
  }
  if (settings.tlsAuthority !== undefined && settings.tlsCert === undefined) {
    throw new UsageError("The setting tlsAuthority is about the certificate that tlsCert names.");
  }
  if (settings.domains.some((domain) => domain === settings.websiteDomain)) {
    throw new UsageError("Give websiteDomain a domain of its own: hosts below it are no buckets.");
  }
  const plain = settings.peerAddresses.find((address) => address.startsWith("http://"));
  if (plain !== undefined && !settings.insecurePeer) {
    throw new UsageError(
      `At ${plain} of peerAddresses everything would go in the clear.`,
      "Give one with https, or say insecurePeer too.",
    );
  }
  if (settings.tlsSelfSigned && settings.tlsCert !== undefined) {
    throw new UsageError("Give tlsCert and tlsKey or tlsSelfSigned, not both.");
  }
}

function show(name: SettingName, settings: Settings, raw: Raw | undefined): ShownSetting {
  const row: SettingRow = SETTINGS[name];
  const source = raw?.source ?? "default";
  if (raw?.value === undefined) return { name, value: "(not set)", source };
  const value = row.secret ? "(set, not shown)" : display(raw.value, settings[name]);
  return { name, value, source };
}

// Paths are shown as they are used; everything else as it was written.
function display(written: unknown, used: unknown): string {
  if (typeof used === "string") return used;
  return typeof written === "string" ? written : JSON.stringify(written);
}

function unknownName(name: string, what: string, known: Iterable<string>): UsageError {
  const nearest = nearestName(name, known);
  const hint = nearest === undefined ? "docs/CONFIG.md lists them all." : `Do you mean ${nearest}?`;
  return new UsageError(`There is no ${what} called ${name}.`, hint);
}
