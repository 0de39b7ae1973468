import {
  GetBucketCorsCommand,
  GetBucketWebsiteCommand,
  GetObjectCommand,
  PutBucketCorsCommand,
  PutBucketWebsiteCommand,
} from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { postForm, signedFields } from "../support/forms.ts";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { startServer } from "../support/server.ts";
import { useScratchDirectory } from "../support/trees.ts";

const scratch = useScratchDirectory();

test("what browsers were promised is there after a crash", async () => {
  const dataDirectory = `${scratch}/data`;
  const before = await startServer({ dataDirectory });
  const s3 = sdkFor(before);
  const Bucket = await makeBucket(s3);
  const CORSRules = [{ AllowedMethods: ["GET"], AllowedOrigins: ["http://a.test"] }];
  await s3.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
  const WebsiteConfiguration = { IndexDocument: { Suffix: "index.html" } };
  await s3.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }));
  const files = [patternBytes(1000), patternBytes(3_000_000)];
  for (const [at, file] of files.entries()) {
    const key = `k${at}`;
    const fields = [["key", key] as const, ...signedFields([{ bucket: Bucket }, { key }])];
    expect((await postForm(before, Bucket, { fields, file })).status).toBe(204);
  }
  await before.kill("SIGKILL");
  const after = await startServer({ dataDirectory });
  const again = sdkFor(after);
  const cors = await again.send(new GetBucketCorsCommand({ Bucket }));
  expect(cors.CORSRules).toEqual(CORSRules);
  const website = await again.send(new GetBucketWebsiteCommand({ Bucket }));
  expect(website.IndexDocument).toEqual(WebsiteConfiguration.IndexDocument);
  for (const [at, file] of files.entries()) {
    const { Body } = await again.send(new GetObjectCommand({ Bucket, Key: `k${at}` }));
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(file)).toBe(true);
  }
  await after.stop();
});
