import { HeadObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, ROOT_KEY, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;

describe.each(ENGINES)("refusals before the end of a body on %s", (engine) => {
  const server = useServer({ engine });

  test.each([1, 20])("who sends %i MiB with a wrong secret hears why", async (mebibytes) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const credentials = { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: "not-the-secret" };
    const stranger = sdkFor(server(), { credentials, maxAttempts: 1 });
    const Body = Buffer.alloc(mebibytes * MIB, "x");
    for (let attempt = 0; attempt < 5; attempt++) {
      const put = stranger.send(new PutObjectCommand({ Bucket, Key: "large", Body }));
      expect(await refusalOf(put)).toBe("403 SignatureDoesNotMatch");
    }
    const head = sdkFor(server()).send(new HeadObjectCommand({ Bucket, Key: "large" }));
    expect(await refusalOf(head)).toBe("404 NotFound");
  });

  test("who sends 20 MiB to a bucket that is not there hears so", async () => {
    const s3 = sdkFor(server(), { maxAttempts: 1 });
    const Body = Buffer.alloc(20 * MIB, "x");
    const put = s3.send(new PutObjectCommand({ Bucket: "not-there", Key: "large", Body }));
    expect(await refusalOf(put)).toBe("404 NoSuchBucket");
  });
});
