import {
  CreateBucketCommand,
  DeleteBucketOwnershipControlsCommand,
  DeleteBucketTaggingCommand,
  DeletePublicAccessBlockCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketTaggingCommand,
  GetPublicAccessBlockCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketTaggingCommand,
  PutPublicAccessBlockCommand,
  type Tag,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { makeOtherKey } from "../support/access.ts";
import { sendSigned } from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, startServer, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;

function tagsOf(count: number): Tag[] {
  return Array.from({ length: count }, (_, at) => ({ Key: `k${at + 10}`, Value: `v${at}` }));
}

describe.each(ENGINES)("settings of buckets on %s", (engine) => {
  const server = useServer({ engine });

  async function ask(method: string, target: string, body?: string, headers = {}) {
    const request = { method, path: target, headers };
    const answer = await sendSigned(server(), body === undefined ? request : { ...request, body });
    return { ...answer, outcome: `${answer.status} ${answer.code}`.trim() };
  }

  test("tags are replaced as a whole, up to fifty, and taken away", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const get = () => s3.send(new GetBucketTaggingCommand({ Bucket }));
    const put = (TagSet: Tag[]) =>
      s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
    expect(await refusalOf(get())).toBe("404 NoSuchTagSet");
    expect((await put([{ Key: "old", Value: "" }])).$metadata.httpStatusCode).toBe(204);
    await put(tagsOf(50));
    expect((await get()).TagSet).toEqual(tagsOf(50));
    expect(await refusalOf(put(tagsOf(51)))).toBe("400 BadRequest");
    const twice = [...tagsOf(1), ...tagsOf(1)];
    expect(await refusalOf(put(twice))).toBe("400 InvalidTag");
    expect(await refusalOf(put([{ Key: "aws:a", Value: "" }]))).toBe("400 InvalidTag");
    expect((await get()).TagSet).toEqual(tagsOf(50));
    for (let again = 0; again < 2; again++) {
      const gone = await s3.send(new DeleteBucketTaggingCommand({ Bucket }));
      expect(gone.$metadata.httpStatusCode).toBe(204);
    }
    expect(await refusalOf(get())).toBe("404 NoSuchTagSet");
  });

  test("tags need a digest, a document, and a bucket", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const document = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    const put = (body: string, headers: object) => ask("PUT", `/${Bucket}?tagging`, body, headers);
    const crc = (value: string) => ({ "x-amz-checksum-crc32": value });
    expect((await put(document, {})).outcome).toBe("400 InvalidRequest");
    expect((await put(document, crc("AAAAAA=="))).outcome).toBe("400 BadDigest");
    expect((await put("", { "Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg==" })).outcome).toBe(
      "400 MissingRequestBodyError",
    );
    const missing = await ask("GET", `/${Bucket}?tagging`);
    expect(missing.outcome).toBe("404 NoSuchTagSet");
    expect((await ask("GET", "/no-such-bucket-here?tagging")).outcome).toBe("404 NoSuchBucket");
  });

  test("a bucket may be made with tags", async () => {
    const s3 = sdkFor(server());
    const Bucket = `tagged-${process.pid}-${engine}`;
    const create = (name: string, Tags: Tag[]) =>
      s3.send(new CreateBucketCommand({ Bucket: name, CreateBucketConfiguration: { Tags } }));
    expect(await refusalOf(create(`${Bucket}-x`, tagsOf(51)))).toBe("400 BadRequest");
    await create(Bucket, tagsOf(2));
    const { TagSet } = await s3.send(new GetBucketTaggingCommand({ Bucket }));
    expect(TagSet).toEqual(tagsOf(2));
  });

  test("a public access block and ownership controls come and go", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const block = () => s3.send(new GetPublicAccessBlockCommand({ Bucket }));
    expect(await refusalOf(block())).toBe("404 NoSuchPublicAccessBlockConfiguration");
    const PublicAccessBlockConfiguration = { BlockPublicAcls: true, RestrictPublicBuckets: true };
    await s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration }));
    expect((await block()).PublicAccessBlockConfiguration).toEqual({
      ...{ BlockPublicAcls: true, IgnorePublicAcls: false },
      ...{ BlockPublicPolicy: false, RestrictPublicBuckets: true },
    });
    await s3.send(new DeletePublicAccessBlockCommand({ Bucket }));
    expect(await refusalOf(block())).toBe("404 NoSuchPublicAccessBlockConfiguration");
    const owner = () => s3.send(new GetBucketOwnershipControlsCommand({ Bucket }));
    const Rules = [{ ObjectOwnership: "BucketOwnerEnforced" as const }];
    const OwnershipControls = { Rules };
    await s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
    expect((await owner()).OwnershipControls).toEqual({ Rules });
    await s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket }));
    expect(await refusalOf(owner())).toBe("404 OwnershipControlsNotFoundError");
  });

  const payment = (payer: string) =>
    `<RequestPaymentConfiguration><Payer>${payer}</Payer></RequestPaymentConfiguration>`;
  const speed = (status: string) =>
    `<AccelerateConfiguration><Status>${status}</Status></AccelerateConfiguration>`;
  const logging = (inside: string) => `<BucketLoggingStatus>${inside}</BucketLoggingStatus>`;

  test.each([
    ["requestPayment", payment("BucketOwner"), "200"],
    ["requestPayment", payment("Requester"), "501 NotImplemented"],
    ["requestPayment", payment("Nobody"), "400 MalformedXML"],
    ["accelerate", speed("Suspended"), "200"],
    ["accelerate", speed("Enabled"), "501 NotImplemented"],
    ["accelerate", speed("On"), "400 MalformedXML"],
    ["logging", logging(""), "200"],
    ["logging", logging("<LoggingEnabled/>"), "501 NotImplemented"],
    ["logging", "<Logging/>", "400 MalformedXML"],
    ["publicAccessBlock", "<A/>", "400 MalformedXML"],
    ["publicAccessBlock", "", "400 MissingRequestBodyError"],
    ["ownershipControls", "{}", "400 MalformedXML"],
    ["ownershipControls", " ".repeat(4 * MIB + 1), "400 MaxMessageLengthExceeded"],
    ["notification", "<NotificationConfiguration/>", "501 NotImplemented"],
    ["replication", "<ReplicationConfiguration/>", "501 NotImplemented"],
    ["inventory&id=a", "<InventoryConfiguration/>", "501 NotImplemented"],
  ])("PUT ?%s of %j is %s", async (name, body, expected) => {
    const Bucket = await makeBucket(sdkFor(server()));
    expect((await ask("PUT", `/${Bucket}?${name}`, body)).outcome).toBe(expected);
  });

  test("what has one answer gives it", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const body = async (name: string) => (await ask("GET", `/${Bucket}?${name}`)).body;
    expect(await body("requestPayment")).toContain("<Payer>BucketOwner</Payer>");
    expect(await body("accelerate")).not.toContain("Status");
    await ask("PUT", `/${Bucket}?accelerate`, speed("Suspended"));
    expect(await body("accelerate")).toContain("<Status>Suspended</Status>");
    expect(await body("logging")).toContain("BucketLoggingStatus");
    expect(await body("notification")).toContain("NotificationConfiguration");
  });

  test("whoever may not is refused, also where there is no bucket", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const { s3 } = await makeOtherKey(server());
    for (const name of [Bucket, "no-such-bucket-here"]) {
      const place = { Bucket: name };
      const Tagging = { TagSet: tagsOf(1) };
      for (const request of [
        () => s3.send(new GetBucketTaggingCommand(place)),
        () => s3.send(new PutBucketTaggingCommand({ ...place, Tagging })),
        () => s3.send(new DeletePublicAccessBlockCommand(place)),
      ]) {
        expect(await refusalOf(request())).toBe("403 AccessDenied");
      }
    }
  });
});

test("settings of buckets outlive a kill", async () => {
  const first = await startServer();
  const s3 = sdkFor(first);
  const Bucket = await makeBucket(s3);
  await s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: tagsOf(3) } }));
  await first.kill("SIGKILL");
  const { dataDirectory } = first;
  const again = await startServer({ dataDirectory });
  const got = await sdkFor(again).send(new GetBucketTaggingCommand({ Bucket }));
  expect(got.TagSet).toEqual(tagsOf(3));
  await again.stop();
});
