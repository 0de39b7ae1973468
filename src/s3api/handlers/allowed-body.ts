import type { KnownValues } from "../authorize.ts";
import { S3Error } from "../errors.ts";
import type { BucketCall, ObjectCall } from "../operation.ts";

export type BodyAsked<Value> = {
  readonly action: string;
  readonly read: () => Promise<Value>;
  /** What policies may ask about it. */
  readonly known: (value: Value) => KnownValues;
};

/**
 * What the body of a request says. A policy may depend on it, so that it is read before the policy
 * is asked; but what is wrong with it is told only to who may do this at all.
 */
export async function allowedBody<Value>(
  { allows, bucket, key }: Pick<BucketCall, "allows" | "bucket"> & Partial<Pick<ObjectCall, "key">>,
  { action, read, known }: BodyAsked<Value>,
): Promise<Value> {
  let value: Value;
  try {
    value = await read();
  } catch (failure) {
    throw allows(action, bucket, key) ? failure : new S3Error("AccessDenied", { cause: failure });
  }
  if (!allows(action, bucket, key, known(value))) throw new S3Error("AccessDenied");
  return value;
}
