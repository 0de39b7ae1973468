import { OBJECT_LOCK_SETTING } from "../core/bucket-versioning.ts";
import type { BucketSettings } from "../core/records.ts";
import type { RequestHeaders } from "../http/exchange.ts";
import { isEncryptionHeader, screenEncryption } from "./encryption/encryption-headers.ts";
import { S3Error } from "./errors.ts";
import { ACCOUNT } from "./policy/principal.ts";

type Rule = {
  /** Values that ask for nothing we do not do anyway; none: the header is refused as such. */
  readonly harmless: readonly string[];
};

/** Headers that demand something Atoll does not do yet; a demand is refused, never dropped. */
const DEMANDS: ReadonlyMap<string, Rule> = new Map([
  ["x-amz-bucket-namespace", { harmless: ["global"] }],
  ["x-amz-if-match-initiated-time", { harmless: [] }],
  ["x-amz-mfa", { harmless: [] }],
  ["x-amz-object-lock-event-hold", { harmless: ["OFF"] }],
  ["x-amz-write-offset-bytes", { harmless: [] }],
]);
/** What nearly every request has. */
const UNDEMANDING: ReadonlySet<string> = new Set(["x-amz-content-sha256", "x-amz-date"]);
const DEMANDING_PREFIXES = ["x-amz-grant-"] as const;
const LOCK_PREFIX = "x-amz-object-lock-";
/** What we can keep of a lock; a promise that we do not know is not given. */
const LOCKS = ["mode", "retain-until-date", "legal-hold"];
const OWNER_HEADERS = ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"];

/**
 * Refuses by name the headers whose demand would otherwise be silently unmet. `settings` are those
 * of the bucket, when there is one; `chosenBy` is the header that the operation is there for. Hot
 * path.
 */
export function screenHeaders(
  headers: RequestHeaders,
  ownerId: string,
  settings: BucketSettings | undefined,
  chosenBy?: string,
): void {
  let encrypts = false;
  for (const name of headers.names) {
    if (!name.startsWith("x-amz-") || UNDEMANDING.has(name)) continue;
    const value = headers.get(name) ?? "";
    const rule = DEMANDS.get(name);
    if (rule !== undefined) {
      if (name !== chosenBy && !rule.harmless.includes(value)) throw unmet(name);
    } else if (OWNER_HEADERS.includes(name)) {
      if (value !== ownerId && value !== ACCOUNT) throw new S3Error("AccessDenied");
    } else if (isEncryptionHeader(name)) {
      encrypts = true;
    } else if (name.startsWith(LOCK_PREFIX)) {
      if (!LOCKS.includes(name.slice(LOCK_PREFIX.length))) throw unmet(name);
      requireObjectLock(settings);
    } else {
      for (const prefix of DEMANDING_PREFIXES) if (name.startsWith(prefix)) throw unmet(name);
    }
  }
  if (encrypts) screenEncryption(headers);
}

function requireObjectLock(settings: BucketSettings | undefined): void {
  if (settings === undefined || settings.has(OBJECT_LOCK_SETTING)) return;
  throw new S3Error("InvalidRequest", { message: "Bucket is missing ObjectLockConfiguration" });
}

function unmet(name: string): S3Error {
  return new S3Error("NotImplemented", { fields: { Header: name } });
}
