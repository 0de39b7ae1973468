import { LIMITS } from "../../core/limits.ts";
import type { ObjectAttributes, StoredChecksum } from "../../core/records.ts";
import type { PutObjectRequest, StoredObject } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { type CopySource, parseCopySource } from "../headers/copy-source.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { readObjectAttributes } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { readChecksumAlgorithm } from "./checksum-wish.ts";
import { writeObjectChecksums } from "./checksum-xml.ts";
import { readableSource } from "./copy-access.ts";
import { checksumOfBody, readWholeBody } from "./stored-body.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

/** A source replaced while it is copied is read again; it cannot go on for ever. */
const ATTEMPTS_MAX = 4;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
export async function copyObject(call: ObjectCall, deps: HandlerDeps): Promise<Reply> {
  const source = parseCopySource(call.headers.get("x-amz-copy-source") ?? "");
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const stored = await copyOnce(call, deps, source);
    if (stored !== undefined) return copyReply(stored);
  }
  throw new S3Error("ConditionalRequestConflict");
}

/** One attempt; undefined when the source has been replaced in the meantime. */
async function copyOnce(
  call: ObjectCall,
  deps: HandlerDeps,
  source: CopySource,
): Promise<StoredObject | undefined> {
  const { bucket, key } = call;
  const found = readableSource(call, deps, source);
  if (found.record.size > LIMITS.putBytesMax) {
    throw new S3Error("InvalidRequest", {
      message:
        "The specified copy source is larger than the maximum allowable size for a copy source: " +
        String(LIMITS.putBytesMax),
    });
  }
  const attributes = copiedAttributes(call, found);
  refusePointlessCopy(call, found, attributes);
  const conditions = allowedConditions(call);
  const { size, etag, parts, encryption } = found.record;
  const checksums = await copiedChecksums(call, deps, found);
  const body = await copiedBody(deps, found);
  const outcome = await deps.store.putObject({
    bucket,
    key,
    object: { size, etag, parts, encryption, attributes, checksums },
    body,
    ...(conditions === undefined ? {} : { conditions }),
  });
  if (outcome.outcome === "stored") return outcome.stored;
  if (outcome.outcome === "source-gone") return undefined;
  throw writeRefusal(outcome, bucket, key);
}

function copyReply(stored: StoredObject): Reply {
  const { record } = stored;
  const xml = new XmlWriter("CopyObjectResult");
  xml.text("LastModified", formatIsoDate(record.lastModifiedMs));
  xml.text("ETag", `"${record.etag}"`);
  writeObjectChecksums(xml, record.checksums);
  return xmlReply(xml.finish());
}

/** Small bodies are copied, larger ones share their chunks. */
async function copiedBody(
  deps: HandlerDeps,
  source: StoredObject,
): Promise<PutObjectRequest["body"]> {
  if (source.record.body.kind !== "inline") return { kind: "shared", source };
  return { kind: "inline", bytes: await readWholeBody(deps.store, source) };
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

/** Storage class and website redirect are never copied; they come from the request. */
function copiedAttributes(call: ObjectCall, source: StoredObject): ObjectAttributes {
  const metadata = readDirective(call, "x-amz-metadata-directive", "metadata");
  const tagging = readDirective(call, "x-amz-tagging-directive", "tagging");
  const asked = readObjectAttributes(call.headers);
  const old = source.record.attributes;
  const tags = tagging === "COPY" ? old.tags : asked.tags;
  if (metadata === "REPLACE") return { ...asked, tags };
  const system = old.system.filter(([name]) => name !== REDIRECT);
  const redirect = asked.system.find(([name]) => name === REDIRECT);
  if (redirect !== undefined) system.push(redirect);
  return { system, user: old.user, storageClass: asked.storageClass, tags };
}

const REDIRECT = "x-amz-website-redirect-location";

/** AWS refuses a copy onto itself that would change nothing. */
function refusePointlessCopy(
  call: ObjectCall,
  source: StoredObject,
  attributes: ObjectAttributes,
): void {
  if (source.bucket !== call.bucket || source.key !== call.key) return;
  if (call.headers.get("x-amz-metadata-directive") === "REPLACE") return;
  if (call.headers.get(REDIRECT) !== undefined) return;
  if (attributes.storageClass !== source.record.attributes.storageClass) return;
  throw new S3Error("InvalidRequest", {
    message:
      "This copy request is illegal because it is trying to copy an object to itself without " +
      "changing the object's metadata, storage class, website redirect location or encryption " +
      "attributes.",
  });
}

/** The source's checksums, or one of the algorithm the client asks for, computed from its bytes. */
async function copiedChecksums(
  call: ObjectCall,
  deps: HandlerDeps,
  source: StoredObject,
): Promise<readonly StoredChecksum[]> {
  const algorithm = readChecksumAlgorithm(call.headers);
  const { checksums, size } = source.record;
  if (algorithm === undefined) return checksums;
  if (checksums.some((checksum) => checksum.algorithm === algorithm)) return checksums;
  const reader = deps.store.openBody(source, { start: 0, end: size });
  const value = await checksumOfBody(deps.hash, reader, algorithm);
  return [{ algorithm, type: "FULL_OBJECT", value }];
}
