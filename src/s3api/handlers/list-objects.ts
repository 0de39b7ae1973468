import { readEncoding, readMax } from "../list/wish.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { objectPage } from "./object-page.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html */
export function listObjects(call: BucketCall, deps: HandlerDeps): Reply {
  const { query } = call;
  const encoding = readEncoding(query);
  const max = readMax(query, "max-keys");
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const marker = query.get("marker") ?? "";
  const { ownerId } = deps.settings;
  const wish = { prefix, delimiter, marker, max };
  const page = objectPage(deps.store.objects(call.bucket), wish, { encoding, ownerId });
  const xml = new XmlWriter("ListBucketResult");
  xml.text("Name", call.bucket);
  xml.text("Prefix", encoding.encode(prefix));
  xml.text("Marker", encoding.encode(marker));
  const { lastName } = page;
  // Without a delimiter the last key itself is the next marker, and S3 does not repeat it.
  if (delimiter !== "" && lastName !== undefined) {
    xml.text("NextMarker", encoding.encode(lastName));
  }
  xml.text("MaxKeys", String(max));
  if (delimiter !== "") xml.text("Delimiter", encoding.encode(delimiter));
  if (encoding.type !== undefined) xml.text("EncodingType", encoding.type);
  xml.text("IsTruncated", String(page.truncated));
  return xmlReply(page.finish(xml), [["x-amz-bucket-region", deps.settings.region]]);
}
