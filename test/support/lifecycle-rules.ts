import type { LifecycleRule } from "../../src/core/lifecycle.ts";
import { encodeLifecycle } from "../../src/core/lifecycle-codec.ts";

/** A rule that is on, finds everything and wants nothing, but for what a test changes. */
export function lifecycleRule({
  filter,
  ...change
}: Partial<Omit<LifecycleRule, "filter">> & {
  readonly filter?: Partial<LifecycleRule["filter"]>;
}): LifecycleRule {
  return {
    id: "rule",
    enabled: true,
    form: "filter",
    filter: {
      ...{ prefix: undefined, tags: [], sizeGreaterThan: undefined, sizeLessThan: undefined },
      ...filter,
    },
    expiration: undefined,
    noncurrent: undefined,
    abortUploadDays: undefined,
    ...change,
  };
}

/** The value of the bucket setting for these rules. */
export function lifecycleValue(...rules: LifecycleRule[]): Uint8Array {
  return encodeLifecycle({ rules, transitionSize: "all_storage_classes_128K" });
}
