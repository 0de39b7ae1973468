import { StorageFault } from "../../core/faults.ts";
import { LIMITS } from "../../core/limits.ts";
import type { PutObjectRequest } from "../../storage/store.ts";
import { type PayloadSettings, PUT_PAYLOAD } from "../body/payload.ts";
import type { PayloadDigests } from "../body/payload-digests.ts";
import {
  type HeaderLines,
  pushChecksums,
  readObjectAttributes,
} from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { emptyReply } from "../reply.ts";
import { payloadOf, stagePayload } from "./request-body.ts";
import { allowedConditions } from "./write-conditions.ts";
import { writeRefusal } from "./write-refusal.ts";

type Description = Pick<PutObjectRequest, "bucket" | "key" | "conditions"> &
  Pick<PutObjectRequest["object"], "attributes">;

/**
 * Small bodies are committed beside their operation; this is the hot path of writes. `limits` are
 * those of a body that is not the whole request.
 */
export async function putObject(
  call: ObjectCall,
  deps: HandlerDeps,
  limits: PayloadSettings = PUT_PAYLOAD,
): Promise<Reply> {
  const attributes = readObjectAttributes(call.headers);
  const conditions = allowedConditions(call);
  const { bucket, key } = call;
  const description: Description =
    conditions === undefined
      ? { bucket, key, attributes }
      : { bucket, key, attributes, conditions };
  const { received } = call;
  const payload = payloadOf(call, deps, { ...limits, received });
  if (payload.bytes !== undefined && payload.bytes <= LIMITS.inlineBodyBytesMax) {
    const { bytes, digests } = await payload.readAll(LIMITS.inlineBodyBytesMax);
    return store(deps, description, digests, { kind: "inline", bytes });
  }
  const { staged, digests } = await stagePayload(payload, deps);
  try {
    return await store(deps, description, digests, { kind: "staged", staged });
  } catch (failure) {
    staged.discard();
    throw failure;
  }
}

async function store(
  deps: HandlerDeps,
  description: Description,
  digests: PayloadDigests,
  body: PutObjectRequest["body"],
): Promise<Reply> {
  const { bucket, key, conditions, attributes } = description;
  const object = {
    size: digests.bytes,
    etag: digests.etag,
    attributes,
    checksums: [digests.checksum],
    parts: [],
    encryption: undefined,
  };
  const outcome = await deps.store.putObject(
    conditions === undefined
      ? { bucket, key, object, body }
      : { bucket, key, object, body, conditions },
  );
  if (outcome.outcome === "stored") {
    const headers: HeaderLines = [["ETag", `"${digests.etag}"`]];
    pushChecksums(headers, object.checksums);
    return emptyReply(200, headers);
  }
  if (outcome.outcome === "source-gone") {
    throw new StorageFault("io", "a body that was just received has gone");
  }
  throw writeRefusal(outcome, bucket, key);
}
