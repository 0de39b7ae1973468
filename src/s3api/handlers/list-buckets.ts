import type { StoredBucket } from "../../storage/store.ts";
import { S3Error } from "../errors.ts";
import { formatIsoDate } from "../headers/dates.ts";
import { decodeToken, encodeToken } from "../list/continuation-token.ts";
import type { Call, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { writeOwner } from "./listing-xml.ts";

const BUCKETS_MAX = 10_000;
const JUDGED_PER_TURN = 256;
const PARAMETERS = ["max-buckets", "continuation-token", "prefix", "bucket-region"];

/**
 * A caller sees the buckets it may list, and no others.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
 */
export async function listBuckets(call: Call, deps: HandlerDeps): Promise<Reply> {
  const { query } = call;
  const prefix = query.get("prefix") ?? "";
  const { shown, truncated } = await visibleBuckets(call, deps, prefix);
  // AWS shows it to whoever gives any parameter: clients of before know none.
  const withRegion = PARAMETERS.some((name) => query.has(name));
  const xml = new XmlWriter("ListAllMyBucketsResult");
  writeOwner(xml, "Owner", deps.settings.ownerId);
  xml.open("Buckets");
  for (const bucket of shown) {
    xml.open("Bucket");
    xml.text("Name", bucket.name);
    xml.text("CreationDate", formatIsoDate(bucket.createdMs));
    if (withRegion) xml.text("BucketRegion", deps.settings.region);
    xml.close();
  }
  xml.close();
  const last = shown.at(-1);
  if (truncated && last !== undefined) {
    xml.text("ContinuationToken", encodeToken(deps.hash, last.name));
  }
  if (prefix !== "") xml.text("Prefix", prefix);
  return xmlReply(xml.finish());
}

type Shown = { readonly shown: readonly StoredBucket[]; readonly truncated: boolean };

/** Policies judge bucket by bucket: thousands of them would keep all other requests waiting. */
async function visibleBuckets(call: Call, deps: HandlerDeps, prefix: string): Promise<Shown> {
  const max = readMaxBuckets(call.query.get("max-buckets"));
  const token = call.query.get("continuation-token");
  let after = token === undefined ? undefined : decodeToken(deps.hash, token);
  const region = call.query.get("bucket-region");
  const shown: StoredBucket[] = [];
  if (region !== undefined && region !== deps.settings.region) return { shown, truncated: false };
  for (;;) {
    let judged = 0;
    for (const bucket of deps.store.buckets(after)) {
      if (judged === JUDGED_PER_TURN) break;
      judged += 1;
      after = bucket.name;
      if (!bucket.name.startsWith(prefix) || !call.allows("s3:ListBucket", bucket.name)) continue;
      if (shown.length === max) return { shown, truncated: true };
      shown.push(bucket);
    }
    if (judged < JUDGED_PER_TURN) return { shown, truncated: false };
    await deps.turn();
  }
}

function readMaxBuckets(text: string | undefined): number {
  if (text === undefined) return BUCKETS_MAX;
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= BUCKETS_MAX) return value;
  throw new S3Error("InvalidArgument", {
    message: "max-buckets must be an integer between 1 and 10000",
    fields: { ArgumentName: "max-buckets", ArgumentValue: text },
  });
}
