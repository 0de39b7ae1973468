import { decodeToken, encodeToken } from "../list/continuation-token.ts";
import { readEncoding, readMax } from "../list/wish.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { objectPage } from "./object-page.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
export function listObjectsV2(call: BucketCall, deps: HandlerDeps): Reply {
  const { query } = call;
  const encoding = readEncoding(query);
  const max = readMax(query, "max-keys");
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const startAfter = query.get("start-after") ?? "";
  const token = query.get("continuation-token");
  const marker = token === undefined ? startAfter : decodeToken(deps.hash, token);
  const ownerId = query.get("fetch-owner") === "true" ? deps.settings.ownerId : undefined;
  const wish = { prefix, delimiter, marker, max };
  const page = objectPage(deps.store.objects(call.bucket), wish, { encoding, ownerId });
  const xml = new XmlWriter("ListBucketResult");
  xml.text("Name", call.bucket);
  xml.text("Prefix", encoding.encode(prefix));
  if (token !== undefined) xml.text("ContinuationToken", token);
  const { lastName } = page;
  if (lastName !== undefined) {
    xml.text("NextContinuationToken", encodeToken(deps.hash, lastName));
  }
  if (startAfter !== "") xml.text("StartAfter", encoding.encode(startAfter));
  xml.text("KeyCount", String(page.count));
  xml.text("MaxKeys", String(max));
  if (delimiter !== "") xml.text("Delimiter", encoding.encode(delimiter));
  if (encoding.type !== undefined) xml.text("EncodingType", encoding.type);
  xml.text("IsTruncated", String(page.truncated));
  return xmlReply(page.finish(xml), [["x-amz-bucket-region", deps.settings.region]]);
}
