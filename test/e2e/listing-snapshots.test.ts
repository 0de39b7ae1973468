import {
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { makeBucket, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

/** The index has room for 64 readers: more pages than that, each cut short, must not use it up. */
const PAGES = 100;

describe.each(ENGINES)("listings between writes on %s", (engine) => {
  const server = useServer({ engine });

  test("pages that are cut short let go of what they read from", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    for (let page = 0; page < PAGES; page++) {
      await s3.send(new PutObjectCommand({ Bucket, Key: `key-${page}`, Body: "x" }));
      const listed = await s3.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 }));
      expect(listed.KeyCount).toBe(1);
      expect(listed.IsTruncated).toBe(page > 0);
      await s3.send(new ListMultipartUploadsCommand({ Bucket, MaxUploads: 1 }));
    }
    const all = await s3.send(new ListObjectsV2Command({ Bucket }));
    expect(all.KeyCount).toBe(PAGES);
  });
});
