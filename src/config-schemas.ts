import { z } from "zod";
import { secretKeyProblem } from "./core/access-key.ts";
import { type BandwidthPlan, type BandwidthRule, parseDailyHours } from "./core/bandwidth-plan.ts";
import { parseAccessKeyId } from "./core/names.ts";
import { parsePeerAddress } from "./core/peer-address.ts";

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

const TIME_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
};

export const text = z.string().trim().min(1, "it is empty");
export const accessKey = text.transform((value, context) => {
  return (
    parseAccessKeyId(value) ?? refuse(context, "an access key has 3 to 128 letters and digits")
  );
});
export const secretKey = text.superRefine((value, context) => {
  const problem = secretKeyProblem(value);
  if (problem !== undefined) context.addIssue(problem);
});

const hostName = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;

/** A number as people write one; nothing else counts as 0, as it would in JavaScript. */
export const decimal = z
  .union([z.number(), text.regex(/^\d+(\.\d+)?$/, "expected a number")])
  .transform(Number);

/** A whole number, 0 included. */
const count = decimal.pipe(z.number().int().min(0).max(1_000_000));

export const listenAddress = z.union([text, z.number()]).transform(parseListen);

export const domainList = z
  .union([z.array(text), z.string().transform((list) => list.split(","))])
  .transform(parseDomains);

export const domain = text
  .transform((name) => name.toLowerCase())
  .refine((name) => hostName.test(name), "it is not a host name");

function parseListen(
  value: string | number,
  context: z.RefinementCtx,
): { host: string; port: number } {
  const found = /^(?:(\[[0-9a-fA-F:.]+\]|[^:[\]]*):)?(\d{1,5})$/.exec(String(value));
  const port = Number(found?.[2]);
  if (found === null || port > 65_535)
    return refuse(context, "expected HOST:PORT, such as 127.0.0.1:9000");
  const host = found[1]?.replace(/^\[|\]$/g, "");
  return { host: host === undefined ? "127.0.0.1" : host === "" ? "::" : host, port };
}

function parseDomains(values: readonly string[], context: z.RefinementCtx): readonly string[] {
  const domains = values.map((value) => value.trim().toLowerCase()).filter((value) => value !== "");
  const wrong = domains.find((domain) => !hostName.test(domain));
  return wrong === undefined ? domains : refuse(context, `${wrong} is not a host name`);
}

function bytesOf(value: string | number): number | undefined {
  const found = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(value));
  const unit = BYTE_UNITS[found?.[2]?.toLowerCase().replace(/^b$/, "") ?? "?"];
  return unit === undefined ? undefined : Math.floor(Number(found?.[1]) * unit);
}

/** A number of bytes, with or without a unit. */
export function byteSize(bytesMin: number) {
  return z.union([z.number(), text]).transform((value, context): number => {
    const bytes = bytesOf(value);
    if (bytes === undefined) {
      return refuse(context, "expected a size such as 512MiB, 1GiB or a number of bytes");
    }
    return bytes < bytesMin ? refuse(context, `it is below ${bytesMin} bytes`) : bytes;
  });
}

/** A time with its unit, in milliseconds. Bounds are written as an operator would. */
function duration(shortest: string, longest: string) {
  const [msMin, msMax] = [millisecondsOf(shortest) ?? 0, millisecondsOf(longest) ?? 0];
  return text.transform((value, context): number => {
    const ms = millisecondsOf(value);
    if (ms === undefined) return refuse(context, "expected a time such as 500ms, 5s, 12h or 30d");
    if (ms < msMin) return refuse(context, `it is below ${shortest}`);
    return ms > msMax ? refuse(context, `it is beyond ${longest}`) : ms;
  });
}

function millisecondsOf(written: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/i.exec(written);
  const unit = TIME_UNITS[found?.[2]?.toLowerCase() ?? ""];
  return unit === undefined ? undefined : Math.round(Number(found?.[1]) * unit);
}

const PLAN_BYTES_MIN = 1024;

/** `1MiB@08:00-18:00,20MiB`: sizes a second, each for all hours or some; the first that fits. */
const bandwidthPlan = z.union([z.number(), text]).transform((value, context) => {
  const plan: BandwidthRule[] = [];
  for (const part of String(value).split(",")) {
    if (plan.some(({ hours }) => hours === undefined)) {
      return refuse(context, "what stands behind a size for all hours is never used");
    }
    const [size = "", time, more] = part.split("@").map((piece) => piece.trim());
    const bytesPerSecond = size.toLowerCase() === "none" ? undefined : bytesOf(size);
    const hours = time === undefined ? undefined : parseDailyHours(time);
    const isRule = bytesPerSecond !== undefined || size.toLowerCase() === "none";
    if (!isRule || more !== undefined || (time !== undefined && hours === undefined)) {
      return refuse(context, "expected a size such as 10MiB, or 1MiB@08:00-18:00,20MiB");
    }
    if (bytesPerSecond !== undefined && bytesPerSecond < PLAN_BYTES_MIN) {
      return refuse(context, `a size is below ${PLAN_BYTES_MIN} bytes`);
    }
    plan.push({ bytesPerSecond, hours });
  }
  return plan as BandwidthPlan;
});

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue(message);
  return z.NEVER;
}

/** What stands alone as a flag, and is on or off elsewhere. */
export const onOrOff = z.union([text, z.boolean()]).transform((value, context): boolean => {
  const known = SWITCH.get(String(value).toLowerCase());
  return known ?? refuse(context, "expected on or off");
});

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ["on", true],
  ["true", true],
  ["off", false],
  ["false", false],
]);

/** What a wrong one would do is told to all sites of the cluster, which then find nobody there. */
const peerAddresses = z
  .union([z.array(text), z.string().transform((list) => list.split(","))])
  .transform((list, context): readonly string[] => {
    const addresses = list.map((one) => one.trim()).filter((one) => one !== "");
    for (const address of addresses) {
      const parsed = parsePeerAddress(address);
      if (parsed.outcome === "bad") return refuse(context, `${address}: ${parsed.problem}`);
    }
    return addresses;
  });

/** Settings of a site that has peers. */
export const REPLICATION_SETTINGS = {
  peerAddresses: {
    schema: peerAddresses,
    fallback: "",
    placeholder: "URLS",
    description:
      "Where other sites of the cluster reach this one, separated by commas: `https://HOST:PORT`.",
    flag: "peer-address",
  },
  insecurePeer: {
    schema: onOrOff,
    fallback: "off",
    placeholder: undefined,
    description: "Let other sites reach this one over plain http: all but keys goes in the clear.",
  },
  peerBandwidth: {
    schema: bandwidthPlan,
    fallback: "none",
    placeholder: "SIZES",
    description:
      "Most bytes a second from each peer; also by hours, UTC: `1MiB@08:00-18:00,20MiB`.",
  },
  clockDriftMax: {
    schema: duration("100ms", "15m"),
    fallback: "5s",
    placeholder: "TIME",
    description:
      "How far ahead a clock may be, another site's or this one's, before it is not believed.",
  },
  conflictRetention: {
    schema: duration("1h", "3650d"),
    fallback: "30d",
    placeholder: "TIME",
    description:
      "How long a write that lost to one which did not know of it is kept. The same at every site.",
  },
  historyRetention: {
    schema: duration("1h", "3650d"),
    fallback: "7d",
    placeholder: "TIME",
    description:
      "How long a site with peers keeps its log, and marks of removals. The same at every site.",
  },
  peerRetention: {
    schema: duration("1h", "3650d"),
    fallback: "30d",
    placeholder: "TIME",
    description:
      "How long the log waits for a peer that is silent; after that it has to take over rows.",
  },
} as const;

/** How much one client may ask for at once, and get wrong. */
export const REQUEST_SETTINGS = {
  requestsPerAddress: {
    schema: count,
    fallback: "1024",
    placeholder: "COUNT",
    description:
      "Requests that one address may have under way. 0 is no limit; this machine has none anyway.",
  },
  requestsPerKey: {
    schema: count,
    fallback: "2048",
    placeholder: "COUNT",
    description:
      "Requests that one access key may have under way from other machines; 0 is no limit.",
  },
  failuresPerAddress: {
    schema: count,
    fallback: "300",
    placeholder: "COUNT",
    description: "Wrong signatures and unknown keys of one address in a minute; 0 is no limit.",
  },
  failuresPerKey: {
    schema: count,
    fallback: "600",
    placeholder: "COUNT",
    description:
      "Wrong signatures in a minute that close a key to addresses that ever failed; 0 is no limit.",
  },
} as const;
