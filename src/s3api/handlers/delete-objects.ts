import { LIMITS } from "../../core/limits.ts";
import { type ObjectKey, objectKeyProblem, parseObjectKey } from "../../core/names.ts";
import type { DeleteObjectRequest, DeleteOutcome } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { parseVersionRef } from "../headers/version-ref.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { childText, requireKnownChildren, type XmlElement } from "../xml/reader.ts";
import { XmlWriter } from "../xml/writer.ts";
import { checkVersion } from "./delete-object.ts";
import { requireReadable } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";
import { readXmlBody, unquoteEtag } from "./xml-body.ts";

const OBJECT_ELEMENTS = ["Key", "VersionId", "ETag", "LastModifiedTime", "Size"];

/** One key of the request: what is to be done, or why it will not be. */
type Item =
  | { readonly kind: "delete"; readonly name: string; readonly request: DeleteObjectRequest }
  | { readonly kind: "refused"; readonly name: string; readonly error: S3Error };

/**
 * Each key is authorised and judged by itself; all that remain are deleted in one commit.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
 */
export async function deleteObjects(call: BucketCall, deps: HandlerDeps): Promise<Reply> {
  const document = await readXmlBody(call, deps, "Delete");
  if (document === undefined) throw new S3Error("MissingRequestBodyError");
  const { items, quiet } = readItems(call, document);
  const requests: DeleteObjectRequest[] = [];
  for (const item of items) if (item.kind === "delete") requests.push(item.request);
  const outcomes = requests.length === 0 ? [] : await deps.store.deleteObjects(requests);
  const xml = new XmlWriter("DeleteResult");
  let next = 0;
  for (const item of items) {
    if (item.kind === "refused") {
      writeFailure(xml, item.name, item.error);
      continue;
    }
    const outcome = outcomes[next++];
    if (outcome === undefined)
      throw new S3Error("InternalError", { cause: "an outcome is missing" });
    writeOutcome(xml, item, outcome, quiet);
  }
  return xmlReply(xml.finish());
}

function readItems(
  call: BucketCall,
  document: XmlElement,
): { readonly items: readonly Item[]; readonly quiet: boolean } {
  const items: Item[] = [];
  requireKnownChildren(document, ["Object", "Quiet"]);
  for (const child of document.children) {
    if (child.name === "Object") items.push(readItem(call, child));
  }
  if (items.length === 0 || items.length > LIMITS.deleteObjectsKeysMax) {
    throw new S3Error("MalformedXML");
  }
  return { items, quiet: childText(document, "Quiet")?.trim().toLowerCase() === "true" };
}

function readItem(call: BucketCall, element: XmlElement): Item {
  requireKnownChildren(element, OBJECT_ELEMENTS);
  const name = childText(element, "Key");
  if (name === undefined) throw new S3Error("MalformedXML");
  try {
    const key = keyOf(name);
    if (!call.allows("s3:DeleteObject", call.bucket, key)) throw new S3Error("AccessDenied");
    const version = childText(element, "VersionId");
    checkVersion(version === undefined ? undefined : parseVersionRef(version, "VersionId"));
    for (const unsupported of ["LastModifiedTime", "Size"]) {
      if (childText(element, unsupported) !== undefined) {
        throw new S3Error("NotImplemented", { fields: { Element: unsupported } });
      }
    }
    const etag = childText(element, "ETag");
    const tag = etag === undefined ? "*" : unquoteEtag(etag);
    if (tag !== "*") requireReadable(call, key);
    const target = { bucket: call.bucket, key };
    const request = etag === undefined ? target : { ...target, conditions: { ifMatch: [tag] } };
    return { kind: "delete", name, request };
  } catch (failure) {
    if (failure instanceof S3Error) return { kind: "refused", name, error: failure };
    throw failure;
  }
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
  item: Extract<Item, { kind: "delete" }>,
  outcome: DeleteOutcome,
  quiet: boolean,
): void {
  if (outcome.outcome !== "deleted") {
    writeFailure(xml, item.name, writeRefusal(outcome, item.request.bucket, item.name));
  } else if (!quiet) {
    xml.open("Deleted");
    xml.text("Key", item.name);
    xml.close();
  }
}

function writeFailure(xml: XmlWriter, name: string, error: S3Error): void {
  xml.open("Error");
  xml.text("Key", name);
  xml.text("Code", error.code);
  xml.text("Message", error.message);
  xml.close();
}
