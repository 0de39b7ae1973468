import { CREATOR_SETTING } from "../core/bucket-creator.ts";
import type { Exchange, RequestHeaders } from "../http/exchange.ts";
import type { StoredBucket } from "../storage/store.ts";
import { parseAmzDate } from "./auth/request-time.ts";
import type { AuthResult } from "./auth/verify.ts";
import { copySourcePath } from "./headers/copy-source.ts";
import { formatIsoDate } from "./headers/dates.ts";
import type { LockWish } from "./headers/object-lock-headers.ts";
import { parseTaggingHeader } from "./headers/tagging-header.ts";
import { ACCOUNT, principalArn, userNameOf } from "./policy/principal.ts";
import type { ConditionValues } from "./policy/template.ts";
import type { Tags } from "./settings/tag-set.ts";
import type { Query } from "./target.ts";

/** What a request says, as conditions of policies ask for it. */
export type RequestFacts = {
  readonly exchange: Pick<Exchange, "remoteAddress" | "secure">;
  readonly headers: RequestHeaders;
  readonly query: Query;
  readonly auth: Pick<AuthResult, "credential" | "presigned" | "form">;
  readonly region: string;
  readonly nowMs: () => number;
  /** By AWS's name; undefined where nothing is done yet but asked. */
  readonly operation: string | undefined;
};

/** What is asked for; the tags of an object that exists are read when a policy asks for them. */
export type AskedFor = {
  readonly bucket: StoredBucket | undefined;
  readonly key: string | undefined;
  readonly tagsOf: (bucket: StoredBucket, key: string, version: string | undefined) => Tags;
  /**
   * Values that only a handler knows, such as tags in a body; they stand before all others. An
   * empty list is no value, whatever the headers say.
   */
  readonly known: ReadonlyMap<string, readonly string[]> | undefined;
};

type Values = readonly string[] | undefined;
type Source = (facts: RequestFacts, asked: AskedFor) => string | undefined;

/** Of what needs `s3:PutObject`: what only prepares an object can have no condition on it. */
const CREATES_OBJECT: ReadonlyMap<string, string> = new Map([
  ["AppendObject", "true"],
  ["CompleteMultipartUpload", "true"],
  ["CopyObject", "true"],
  ["CreateMultipartUpload", "false"],
  ["PostObject", "true"],
  ["PutObject", "true"],
  ["RenameObject", "true"],
  ["UploadPart", "false"],
  ["UploadPartCopy", "false"],
]);

const DAY_MS = 24 * 3600 * 1000;

/**
 * By key in lower case.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
 */
const SINGLE: ReadonlyMap<string, Source> = new Map<string, Source>([
  ["atoll:bucketcreator", bucketCreator],
  ["aws:currenttime", ({ nowMs }) => new Date(nowMs()).toISOString()],
  ["aws:epochtime", ({ nowMs }) => String(Math.floor(nowMs() / 1000))],
  ["aws:principalaccount", ({ auth }) => signed(auth, ACCOUNT)],
  ["aws:principalarn", ({ auth }) => principalArn(auth.credential)],
  ["aws:principalisawsservice", () => "false"],
  ["aws:principaltype", ({ auth }) => PRINCIPAL_TYPES[auth.credential.kind]],
  ["aws:referer", ({ headers }) => headers.get("referer")],
  ["aws:requestedregion", ({ region }) => region],
  ["aws:resourceaccount", (_facts, { bucket }) => (bucket === undefined ? undefined : ACCOUNT)],
  ["aws:securetransport", ({ exchange }) => String(exchange.secure)],
  ["aws:sourceip", ({ exchange }) => exchange.remoteAddress],
  ["aws:useragent", ({ headers }) => headers.get("user-agent")],
  ["aws:userid", ({ auth }) => signed(auth, auth.credential.id)],
  ["aws:username", ({ auth }) => userNameOf(auth.credential)],
  ["aws:viaawsservice", () => "false"],
  ["s3:authtype", ({ auth }) => signed(auth, authType(auth))],
  ["s3:delimiter", ({ query }) => query.get("delimiter")],
  ["s3:if-match", ({ headers }) => headers.get("if-match")],
  ["s3:if-none-match", ({ headers }) => headers.get("if-none-match")],
  ["s3:max-keys", ({ query }) => query.get("max-keys")],
  ["s3:object-lock-legal-hold", ({ headers }) => headers.get("x-amz-object-lock-legal-hold")],
  ["s3:object-lock-mode", ({ headers }) => headers.get("x-amz-object-lock-mode")],
  ["s3:object-lock-remaining-retention-days", remainingRetentionDays],
  ["s3:object-lock-retain-until-date", ({ headers }) => headers.get(RETAIN_UNTIL)],
  ["s3:objectcreationoperation", ({ operation = "" }) => CREATES_OBJECT.get(operation)],
  ["s3:prefix", ({ query }) => query.get("prefix")],
  ["s3:resourceaccount", (_facts, { bucket }) => (bucket === undefined ? undefined : ACCOUNT)],
  ["s3:signatureage", signatureAge],
  ["s3:signatureversion", ({ auth }) => signed(auth, "AWS4-HMAC-SHA256")],
  ["s3:versionid", ({ query }) => query.get("versionId")],
  ["s3:x-amz-content-sha256", contentSha256],
  ["s3:x-amz-copy-source", ({ headers }) => copySource(headers)],
]);

const RETAIN_UNTIL = "x-amz-object-lock-retain-until-date";
const PRINCIPAL_TYPES = { root: "Account", user: "User", anonymous: "Anonymous" } as const;
const EXISTING_TAG = "s3:existingobjecttag/";
const REQUEST_TAG = "s3:requestobjecttag/";

/** The values of a request by condition key; nothing is computed before a policy asks for it. */
export function requestValues(facts: RequestFacts, asked: AskedFor): ConditionValues {
  return (key) => {
    const known = asked.known?.get(key);
    if (known === undefined) return valuesOf(key, facts, asked);
    return known.length === 0 ? undefined : known;
  };
}

function valuesOf(key: string, facts: RequestFacts, asked: AskedFor): Values {
  const source = SINGLE.get(key);
  if (source !== undefined) return oneOf(source(facts, asked));
  if (key.startsWith("s3:x-amz-")) return oneOf(facts.headers.get(key.slice("s3:".length)));
  if (key.startsWith(EXISTING_TAG))
    return existingTag(key.slice(EXISTING_TAG.length), facts, asked);
  const requested = asked.known?.has("s3:requestobjecttagkeys") === true;
  if (requested) return undefined;
  if (key.startsWith(REQUEST_TAG))
    return oneOf(tagOf(tagsOf(facts), key.slice(REQUEST_TAG.length)));
  if (key !== "s3:requestobjecttagkeys") return undefined;
  const names = tagsOf(facts).map(([name]) => name);
  return names.length === 0 ? undefined : names;
}

function oneOf(value: string | undefined): Values {
  return value === undefined ? undefined : [value];
}

function signed({ credential }: RequestFacts["auth"], value: string): string | undefined {
  return credential.kind === "anonymous" ? undefined : value;
}

/**
 * Whoever has made a bucket may hear that it is gone. Nothing is betrayed to others who make
 * buckets: whether a name is taken, CreateBucket says.
 */
function bucketCreator({ auth }: RequestFacts, { bucket }: AskedFor): string | undefined {
  if (bucket === undefined) return signed(auth, auth.credential.id);
  const value = bucket.settings.get(CREATOR_SETTING);
  return value === undefined ? undefined : Buffer.from(value).toString("utf8");
}

function tagsOf({ headers }: RequestFacts): Tags {
  return parseTaggingHeader(headers.get("x-amz-tagging"));
}

function tagOf(tags: Tags, name: string): string | undefined {
  return tags.find(([key]) => key === name)?.[1];
}

function existingTag(name: string, { query }: RequestFacts, asked: AskedFor): Values {
  const { bucket, key, known } = asked;
  if (bucket === undefined || key === undefined) return undefined;
  const version = known?.get("s3:versionid")?.[0] ?? query.get("versionId");
  return oneOf(tagOf(asked.tagsOf(bucket, key, version), name));
}

/** Tags of a request for conditions, where a handler finds them in a body. */
export function requestTagValues(tags: Tags): ReadonlyMap<string, readonly string[]> {
  return tagValues(tags, "s3:requestobjecttagkeys", REQUEST_TAG);
}

function tagValues(
  tags: Tags,
  keysName: string,
  family: string,
): ReadonlyMap<string, readonly string[]> {
  const values = new Map<string, readonly string[]>();
  values.set(
    keysName,
    tags.map(([name]) => name),
  );
  for (const [name, value] of tags) values.set(family + name, [value]);
  return values;
}

/**
 * Tags that a bucket is made with, for conditions: those on resources have names of their own.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
 */
export function resourceTagValues(tags: Tags): ReadonlyMap<string, readonly string[]> {
  return tagValues(tags, "aws:tagkeys", "aws:requesttag/");
}

/** A lock for conditions, where a handler finds it in a body: headers then mean nothing. */
export function requestLockValues(
  { retention, legalHold }: LockWish,
  nowMs: number,
): ReadonlyMap<string, readonly string[]> {
  const kept = retention === undefined ? [] : [retention];
  return new Map([
    ["s3:object-lock-legal-hold", legalHold === undefined ? [] : [legalHold ? "ON" : "OFF"]],
    ["s3:object-lock-mode", kept.map(({ mode }) => mode)],
    [
      "s3:object-lock-remaining-retention-days",
      kept.map(({ untilMs }) => daysUntil(untilMs, nowMs)),
    ],
    ["s3:object-lock-retain-until-date", kept.map(({ untilMs }) => formatIsoDate(untilMs))],
  ]);
}

/** The version that is asked for, where it is not the one in the query. */
export function knownVersion(
  version: string | undefined,
): ReadonlyMap<string, readonly string[]> | undefined {
  return version === undefined ? undefined : new Map([["s3:versionid", [version]]]);
}

/**
 * What the signature says of the body: a presigned URL says it too, without a header.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
 */
function contentSha256({ auth, headers, query }: RequestFacts): string | undefined {
  const told = headers.get("x-amz-content-sha256");
  if (told !== undefined || !auth.presigned) return told;
  return query.get("X-Amz-Content-Sha256") ?? "UNSIGNED-PAYLOAD";
}

/** AWS compares `bucket/key`, decoded, without what clients write before and after it. */
function copySource(headers: RequestHeaders): string | undefined {
  const header = headers.get("x-amz-copy-source");
  return header === undefined ? undefined : (copySourcePath(header) ?? header);
}

function remainingRetentionDays({ headers, nowMs }: RequestFacts): string | undefined {
  const until = headers.get(RETAIN_UNTIL);
  if (until === undefined) return undefined;
  const untilMs = Date.parse(until);
  return Number.isNaN(untilMs) ? until : daysUntil(untilMs, nowMs());
}

function daysUntil(untilMs: number, nowMs: number): string {
  return String(Math.ceil((untilMs - nowMs) / DAY_MS));
}

/** AWS's names for how a request was signed: in form fields, in the query or in headers. */
function authType({ presigned, form }: RequestFacts["auth"]): string {
  if (form === true) return "POST";
  return presigned ? "REST-QUERY-STRING" : "REST-HEADER";
}

/** Milliseconds since the signature was made, for presigned URLs too. */
function signatureAge({ auth, headers, query, nowMs }: RequestFacts): string | undefined {
  const text = auth.presigned ? query.get("X-Amz-Date") : headers.get("x-amz-date");
  const time = text === undefined ? undefined : parseAmzDate(text);
  if (auth.credential.kind === "anonymous" || time === undefined) return undefined;
  return String(Math.max(0, nowMs() - time.unixMs));
}
