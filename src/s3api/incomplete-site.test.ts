import { expect, test } from "vitest";
import type { Store } from "../storage/store.ts";
import { S3Error } from "./errors.ts";
import { requireComplete, whileIncomplete } from "./incomplete-site.ts";

function storeWith(underWay: boolean | "merge"): Pick<Store, "rows"> {
  const merge = underWay === "merge" ? { merges: true } : {};
  const bootstrap = underWay === false ? undefined : { position: "", ...merge };
  return { rows: { bootstrap: () => bootstrap } } as unknown as Pick<Store, "rows">;
}

test("what is missing may be on its way while rows are taken over", () => {
  for (const code of ["NoSuchKey", "NoSuchBucket", "NoSuchVersion"] as const) {
    const failure = new S3Error(code);
    expect(whileIncomplete(storeWith(false), failure)).toBe(failure);
    expect(whileIncomplete(storeWith(true), failure)).toMatchObject({
      code: "SlowDown",
      status: 503,
    });
  }
});

test("a site that merges rows of another one into its own answers as before", () => {
  const failure = new S3Error("NoSuchKey");
  expect(whileIncomplete(storeWith("merge"), failure)).toBe(failure);
  expect(() => requireComplete(storeWith("merge"), "ListObjectsV2")).not.toThrow();
});

test("other failures stay what they are", () => {
  for (const failure of [new S3Error("AccessDenied"), new Error("of the program"), undefined]) {
    expect(whileIncomplete(storeWith(true), failure)).toBe(failure);
  }
});

test("nothing is listed while rows are taken over, and everything else is done", () => {
  const slow = expect.objectContaining({ code: "SlowDown" });
  for (const operation of ["ListBuckets", "ListObjectsV2", "ListObjectVersions"] as const) {
    expect(() => requireComplete(storeWith(true), operation)).toThrow(slow);
    expect(() => requireComplete(storeWith(false), operation)).not.toThrow();
  }
  for (const operation of ["PutObject", "GetObject", "ListParts"] as const) {
    expect(() => requireComplete(storeWith(true), operation)).not.toThrow();
  }
});
