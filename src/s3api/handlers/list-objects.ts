import { listPage } from "../list/page.ts";
import { objectSource } from "../list/sources.ts";
import { readEncoding, readMax } from "../list/wish.ts";
import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeObjects } from "./listing-xml.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html */
export function listObjects(call: BucketCall, deps: HandlerDeps): Reply {
  const { query } = call;
  const encoding = readEncoding(query);
  const max = readMax(query, "max-keys");
  const prefix = query.get("prefix") ?? "";
  const delimiter = query.get("delimiter") ?? "";
  const marker = query.get("marker") ?? "";
  const source = objectSource(deps.store.objects(call.bucket));
  const page = listPage(source, { prefix, delimiter, marker, max });
  const xml = new XmlWriter("ListBucketResult");
  xml.text("Name", call.bucket);
  xml.text("Prefix", encoding.encode(prefix));
  xml.text("Marker", encoding.encode(marker));
  const last = page.items.at(-1);
  // Without a delimiter the last key itself is the next marker, and S3 does not repeat it.
  if (page.truncated && delimiter !== "" && last !== undefined) {
    xml.text("NextMarker", encoding.encode(last.name));
  }
  xml.text("MaxKeys", String(max));
  if (delimiter !== "") xml.text("Delimiter", encoding.encode(delimiter));
  if (encoding.type !== undefined) xml.text("EncodingType", encoding.type);
  xml.text("IsTruncated", String(page.truncated));
  writeObjects(xml, page, { encoding, ownerId: deps.settings.ownerId });
  return xmlReply(xml.finishBytes(), [["x-amz-bucket-region", deps.settings.region]]);
}
