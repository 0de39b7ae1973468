import { LIMITS } from "../../core/limits.ts";
import {
  type ObjectKey,
  objectKeyProblem,
  parseObjectKey,
  parseVersionId,
} from "../../core/names.ts";
import type { DeleteObjectRequest, DeleteOutcome } from "../../storage/store.ts";
import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import type { VersionRef } from "../headers/version-ref.ts";
import { type DeletesThere, deleteThere, identityOf } from "../home/deletes-there.ts";
import { homeUnavailable } from "../home/home-unavailable.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { knownVersion } from "../request-values.ts";
import { childrenNamed, childText, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { deletedVersion } from "./delete-object.ts";
import { bypassesGovernance } from "./governance-bypass.ts";
import { requireReadable } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";
import { readXmlBody, unquoteEtag } from "./xml-body.ts";

const OBJECT_ELEMENTS = ["Key", "VersionId", "ETag", "LastModifiedTime", "Size"];

/** One key of the request: what is to be done, or why it will not be. */
type Item =
  | { readonly kind: "delete"; readonly named: Named; readonly request: DeleteObjectRequest }
  | { readonly kind: "brought"; readonly named: Named; readonly etag: string }
  | { readonly kind: "refused"; readonly named: Named; readonly error: S3Error };

/** Whether conditions are another site's to judge. */
type Placed = BucketCall & { readonly isElsewhere: boolean };

/** A key and a version as the client wrote them; an empty version is none. */
type Named = { readonly name: string; readonly versionText: string | undefined };

/**
 * Each key is authorised and judged by itself. All that remain are deleted in one commit; those
 * with a condition that another site judges are deleted there, in one commit of that site.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
 */
export async function deleteObjects(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const document = await readXmlBody(call, deps, "Delete");
  if (document === undefined) throw new S3Error("MissingRequestBodyError");
  const isElsewhere = deps.home?.isElsewhere(call.bucketSettings) === true;
  const { items, quiet } = readItems({ ...call, isElsewhere }, document);
  const requests: DeleteObjectRequest[] = [];
  for (const item of items) if (item.kind === "delete") requests.push(item.request);
  const outcomes = requests.length === 0 ? [] : await deps.store.deleteObjects(requests);
  const there = await deletedThere(call, deps, items);
  const xml = new XmlWriter("DeleteResult");
  let next = 0;
  for (const item of items) {
    if (item.kind === "refused") {
      writeFailure(xml, item.named, item.error);
      continue;
    }
    if (item.kind === "brought") {
      writeBrought(xml, item.named, there.resultOf(item.named), quiet);
      continue;
    }
    const outcome = outcomes[next++];
    if (outcome === undefined)
      throw new S3Error("InternalError", { cause: "an outcome is missing" });
    writeOutcome(xml, item, outcome, quiet);
  }
  const isAllThere = requests.length === 0 && there.token.length > 0;
  const reply = xmlReply(xml.finish(), isAllThere ? [...there.token] : []);
  // This site's own token says nothing of what was written there.
  return isAllThere && reply.kind === "whole" ? { ...reply, forwarded: true } : reply;
}

/**
 * The outcome at the bucket's home; no outcome is known for any key when the home could not be
 * asked.
 */
async function deletedThere(
  call: BucketCall,
  deps: HandlerDeps,
  items: readonly Item[],
): Promise<DeletesThere> {
  const brought = items.flatMap((item) =>
    item.kind === "brought" ? [{ ...item.named, etag: item.etag }] : [],
  );
  const nothing: DeletesThere = { resultOf: () => undefined, token: [] };
  if (brought.length === 0) return nothing;
  return deleteThere(call, deps, brought).catch((failure: unknown) => {
    if (failure instanceof S3Error) return nothing;
    throw failure;
  });
}

function writeBrought(
  xml: XmlWriter,
  named: Named,
  result: XmlElement | undefined,
  quiet: boolean,
): void {
  if (result === undefined) {
    writeFailure(xml, named, homeUnavailable());
    return;
  }
  if (result.name === "Deleted" && quiet) return;
  xml.open(result.name);
  writeNamed(xml, named);
  for (const told of ["DeleteMarker", "DeleteMarkerVersionId", "Code", "Message"]) {
    const text = childText(result, told);
    if (text !== undefined) xml.text(told, text);
  }
  xml.close();
}

function readItems(
  call: Placed,
  document: XmlElement,
): { readonly items: readonly Item[]; readonly quiet: boolean } {
  requireKnownChildren(document, ["Object", "Quiet"]);
  const elements = childrenNamed(document, "Object");
  if (elements.length === 0 || elements.length > LIMITS.deleteObjectsKeysMax) {
    throw new S3Error("MalformedXML");
  }
  const items: Item[] = [];
  const seen = new Set<string>();
  for (const element of elements) {
    const named = readNamed(element);
    // AWS deletes the same version of the same key once, and says so once.
    const identity = identityOf(named);
    if (seen.has(identity)) continue;
    seen.add(identity);
    items.push(readItem(call, element, named));
  }
  return { items, quiet: childText(document, "Quiet")?.trim().toLowerCase() === "true" };
}

function readNamed(element: XmlElement): Named {
  requireKnownChildren(element, OBJECT_ELEMENTS);
  const name = childText(element, "Key");
  if (name === undefined) throw new S3Error("MalformedXML");
  const versionText = childText(element, "VersionId")?.trim();
  return { name, versionText: versionText === "" ? undefined : versionText };
}

function readItem(call: Placed, element: XmlElement, named: Named): Item {
  try {
    const { bucket } = call;
    const key = keyOf(named.name);
    const etag = childText(element, "ETag");
    if (!mayDelete(call, key, named, etag)) throw new S3Error("AccessDenied");
    const version = versionOf(named);
    for (const unsupported of ["LastModifiedTime", "Size"]) {
      if (childText(element, unsupported) !== undefined) {
        throw new S3Error("NotImplemented", { fields: { Element: unsupported } });
      }
    }
    const tag = etag === undefined ? "*" : unquoteEtag(etag);
    if (tag !== "*") requireReadable(call, key);
    if (etag !== undefined && call.isElsewhere) return { kind: "brought", named, etag };
    const request: DeleteObjectRequest = {
      bucket,
      key,
      ...(version === undefined
        ? {}
        : { version, bypassGovernance: bypassesGovernance(call, key) }),
      ...(etag === undefined ? {} : { conditions: { ifMatch: [tag] } }),
    };
    return { kind: "delete", named, request };
  } catch (failure) {
    if (failure instanceof S3Error) return { kind: "refused", named, error: failure };
    throw failure;
  }
}

/** Headers of the request are no conditions on its keys. */
const WITHOUT_CONDITION: KnownValues = new Map([
  ["s3:if-match", []],
  ["s3:if-none-match", []],
]);

function mayDelete(
  { allows, bucket }: BucketCall,
  key: ObjectKey,
  { versionText }: Named,
  etag: string | undefined,
): boolean {
  const action = versionText === undefined ? "s3:DeleteObject" : "s3:DeleteObjectVersion";
  if (versionText === undefined && etag === undefined) {
    return allows(action, bucket, key, WITHOUT_CONDITION);
  }
  const known = new Map([...WITHOUT_CONDITION, ...(knownVersion(versionText) ?? [])]);
  if (etag !== undefined) known.set("s3:if-match", [etag.trim()]);
  return allows(action, bucket, key, known);
}

/** In a list of keys an impossible version id is answered as one that names nothing. */
function versionOf({ versionText }: Named): VersionRef | undefined {
  if (versionText === undefined || versionText === "null") return versionText;
  const version = parseVersionId(versionText);
  if (version === undefined) throw new S3Error("NoSuchVersion");
  return version;
}

function keyOf(name: string): ObjectKey {
  const key = parseObjectKey(name);
  if (key !== undefined) return key;
  if (objectKeyProblem(name) === "too-long") throw new S3Error("KeyTooLongError");
  throw new S3Error("UserKeyMustBeSpecified", {
    message: "The key must be specified, as one to 1,024 bytes of UTF-8.",
  });
}

function writeOutcome(
  xml: XmlWriter,
  { named, request }: Extract<Item, { kind: "delete" }>,
  outcome: DeleteOutcome,
  quiet: boolean,
): void {
  if (outcome.outcome !== "deleted") {
    writeFailure(xml, named, writeRefusal(outcome, request.bucket, named.name));
    return;
  }
  if (quiet) return;
  const { marker, id } = deletedVersion(outcome, request.version);
  xml.open("Deleted");
  writeNamed(xml, named);
  if (marker && id !== undefined) {
    xml.text("DeleteMarker", "true");
    xml.text("DeleteMarkerVersionId", id);
  }
  xml.close();
}

function writeFailure(xml: XmlWriter, named: Named, error: S3Error): void {
  xml.open("Error");
  writeNamed(xml, named);
  xml.text("Code", error.code);
  xml.text("Message", error.message);
  xml.close();
}

function writeNamed(xml: XmlWriter, { name, versionText }: Named): void {
  xml.text("Key", name);
  if (versionText !== undefined) xml.text("VersionId", versionText);
}
