import type { ObjectAttributes } from "../../core/records.ts";
import type { StoredObject } from "../../storage/store.ts";
import { pushEncryption } from "../encryption/body-encryption.ts";
import { asksForEncryption, bringsKey } from "../encryption/encryption-headers.ts";
import { S3Error } from "../errors.ts";
import { type CopySource, parseCopySource } from "../headers/copy-source.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { pushExpiration } from "../headers/lifecycle-headers.ts";
import { ACL_HEADER } from "../headers/object-acl.ts";
import { type HeaderLines, readObjectAttributes } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { BUCKET_ENCRYPTION } from "../settings/bucket-encryption.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeObjectChecksums } from "./checksum-xml.ts";
import { copyBody } from "./copied-body.ts";
import {
  pushSourceVersionId,
  readableSource,
  requireCopyable,
  requireTagsAllowed,
} from "./copy-access.ts";
import { lockOfWrite } from "./lock-of-write.ts";
import { pushStoredVersionId } from "./object-version.ts";
import { hasGone } from "./remote-body.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

const RANGE = "x-amz-copy-source-range";

/** A source replaced while it is copied is read again; it cannot go on for ever. */
const ATTEMPTS_MAX = 4;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
export async function copyObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const source = parseCopySource(call.headers.get("x-amz-copy-source") ?? "");
  const range = call.headers.get(RANGE);
  if (range !== undefined) {
    throw new S3Error("InvalidArgument", {
      message: "A part of an object can only be copied into a part of an upload.",
      fields: { ArgumentName: RANGE, ArgumentValue: range },
    });
  }
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const reply = await copyOnce(call, deps, source);
    if (reply !== undefined) return reply;
  }
  throw new S3Error("ConditionalRequestConflict");
}

/** One attempt; undefined when the source has been replaced in the meantime. */
async function copyOnce(
  call: ObjectCall,
  deps: HandlerDeps,
  source: CopySource,
): Promise<Reply | undefined> {
  const { bucket, key } = call;
  const found = readableSource(call, deps, source);
  requireCopyable(found.record.size);
  const attributes = copiedAttributes(call, found);
  if (attributes.tags.length > 0 && attributes.tags === found.record.attributes.tags) {
    requireTagsAllowed(call, source, attributes.tags);
  }
  refusePointlessCopy(call, source);
  const conditions = allowedConditions(call);
  const lock = lockOfWrite(call, deps);
  // Nothing may come between this and the commit: what has been written again would stay.
  const copied = await copyBody(call, deps, found).catch((failure: unknown) => {
    if (hasGone(deps, found, failure)) return undefined;
    throw failure;
  });
  if (copied === undefined) return undefined;
  const { object, body, encryption } = copied;
  const request = { bucket, key, object: { ...object, attributes, lock }, body };
  const outcome = await deps.store
    .putObject(conditions === undefined ? request : { ...request, conditions })
    .catch((failure: unknown) => {
      if (body.kind === "staged") body.staged.discard();
      throw failure;
    });
  if (outcome.outcome === "stored") {
    const headers: HeaderLines = [];
    pushEncryption(headers, encryption);
    pushSourceVersionId(headers, deps, found);
    return copyReply(call, outcome.stored, headers);
  }
  if (outcome.outcome === "source-gone") return undefined;
  throw writeRefusal(outcome, bucket, key);
}

function copyReply(call: ObjectCall, stored: StoredObject, headers: HeaderLines): Reply {
  const { record } = stored;
  const xml = new XmlWriter("CopyObjectResult");
  xml.text("LastModified", formatIsoDate(record.lastModifiedMs));
  xml.text("ETag", `"${record.etag}"`);
  writeObjectChecksums(xml, record.checksums);
  pushStoredVersionId(headers, stored);
  pushExpiration(headers, call.bucketSettings, call.key, record);
  return xmlReply(xml.finish(), headers);
}

type Directive = "COPY" | "REPLACE";

function readDirective(call: ObjectCall, header: string, what: string): Directive {
  const value = call.headers.get(header);
  if (value === undefined || value === "COPY") return "COPY";
  if (value === "REPLACE") return "REPLACE";
  throw new S3Error("InvalidArgument", {
    message: `Unknown ${what} directive.`,
    fields: { ArgumentName: header, ArgumentValue: value },
  });
}

/** Storage class, website redirect and ACL are never copied; they come from the request. */
function copiedAttributes(call: ObjectCall, source: StoredObject): ObjectAttributes {
  const metadata = readDirective(call, "x-amz-metadata-directive", "metadata");
  const tagging = readDirective(call, "x-amz-tagging-directive", "tagging");
  const asked = readObjectAttributes(call.headers);
  const old = source.record.attributes;
  const tags = tagging === "COPY" ? old.tags : asked.tags;
  if (metadata === "REPLACE") return { ...asked, tags };
  const system = [
    ...old.system.filter(([name]) => !OWN_SYSTEM.includes(name)),
    ...asked.system.filter(([name]) => OWN_SYSTEM.includes(name)),
  ];
  return { system, user: old.user, storageClass: asked.storageClass, tags };
}

const REDIRECT = "x-amz-website-redirect-location";
const OWN_SYSTEM: readonly string[] = [ACL_HEADER, REDIRECT];

/**
 * AWS refuses a copy onto itself that names nothing to change; what it names may be what holds
 * already. The bucket's encryption counts as named: so what was there before it is encrypted. So
 * does a client's key that only the source is given with: the copy will do without. Who names the
 * version to copy is not refused, be it the current one: so are versions restored, by clients that
 * need not know which one is current.
 */
function refusePointlessCopy(call: ObjectCall, source: CopySource): void {
  if (source.bucket !== call.bucket || source.key !== call.key) return;
  if (source.version !== undefined) return;
  if (call.headers.get("x-amz-metadata-directive") === "REPLACE") return;
  for (const named of [REDIRECT, "x-amz-storage-class"]) {
    if (call.headers.get(named) !== undefined) return;
  }
  if (asksForEncryption(call.headers) || bringsKey(call.headers, "source")) return;
  if (BUCKET_ENCRYPTION.of(call.bucketSettings) !== undefined) return;
  throw new S3Error("InvalidRequest", {
    message:
      "This copy request is illegal because it is trying to copy an object to itself without " +
      "changing the object's metadata, storage class, website redirect location or encryption " +
      "attributes.",
  });
}
