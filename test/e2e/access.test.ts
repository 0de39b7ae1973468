import {
  CopyObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import aws4 from "aws4";
import { describe, expect, test } from "vitest";
import {
  requestBytes,
  type SignedRequest,
  sendBytes,
  sendSigned,
  signedHeaders,
} from "../support/raw-http.ts";
import { makeBucket, refusalOf, sdkFor } from "../support/sdk.ts";
import { ENGINES, REGION, ROOT_KEY, type TestServer, useServer } from "../support/server.ts";

/** A date as SigV4 writes it. */
function amzDate(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, "");
}

const MINUTE_MS = 60_000;

/** Requests that are not what they claim to be, by what is wrong with them. */
const FORGERIES: Readonly<
  Record<string, { readonly change: Partial<SignedRequest>; readonly refusal: string }>
> = {
  "another secret": {
    change: { secretKey: "not-the-secret" },
    refusal: "403 SignatureDoesNotMatch",
  },
  "an unknown key": {
    change: { accessKey: "AKNOBODY00000001" },
    refusal: "403 InvalidAccessKeyId",
  },
  "another region": {
    change: { region: "eu-north-7" },
    refusal: "400 AuthorizationHeaderMalformed",
  },
  "another service": {
    // For another service the signer leaves out the digest that S3 wants.
    change: { service: "dynamodb", headers: { "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD" } },
    refusal: "400 AuthorizationHeaderMalformed",
  },
  "a date of 20 minutes ago": {
    change: { headers: { "X-Amz-Date": amzDate(Date.now() - 20 * MINUTE_MS) } },
    refusal: "403 RequestTimeTooSkewed",
  },
  "a date in 20 minutes": {
    change: { headers: { "X-Amz-Date": amzDate(Date.now() + 20 * MINUTE_MS) } },
    refusal: "403 RequestTimeTooSkewed",
  },
  "the digest of another body": {
    change: { headers: { "X-Amz-Content-Sha256": "0".repeat(64) } },
    refusal: "400 XAmzContentSHA256Mismatch",
  },
};

async function expectNothing(server: TestServer, Bucket: string, Key: string): Promise<void> {
  const head = sdkFor(server).send(new HeadObjectCommand({ Bucket, Key }));
  expect(await refusalOf(head)).toBe("404 NotFound");
}

describe.each(ENGINES)("access on %s", (engine) => {
  const server = useServer({ engine });

  test.each(Object.entries(FORGERIES))("%s is refused", async (_name, { change, refusal }) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const request = { method: "PUT", path: `/${Bucket}/forged`, body: "body", ...change };
    const answer = await sendSigned(server(), request);
    expect(`${answer.status} ${answer.code}`).toBe(refusal);
    await expectNothing(server(), Bucket, "forged");
  });

  /** Changes made after signing: a byte of each signed part. */
  test.each([
    ["method", { method: "POST" }, {}],
    ["path", { path: "/PLACE/forged2" }, {}],
    ["query", { path: "/PLACE/forged?x-id=PutObject" }, {}],
    ["a signed header", {}, { "X-Amz-Meta-Colour": "red" }],
    ["the signature", {}, { Authorization: "LAST" }],
    ["an x-amz header added unsigned", {}, { "x-amz-acl": "private" }],
  ])("%s changed after signing is refused", async (_name, target, headers) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const request = {
      ...{ method: "PUT", path: `/${Bucket}/forged`, body: "body" },
      headers: { "X-Amz-Meta-Colour": "blue" },
    };
    const signed = signedHeaders(server(), request);
    const authorization = signed["Authorization"] ?? "";
    const last = authorization.endsWith("0") ? "1" : "0";
    const changed: Record<string, string> = { ...signed, ...headers };
    changed["Authorization"] =
      changed["Authorization"] === "LAST" ? authorization.slice(0, -1) + last : authorization;
    const sent = { ...request, ...target };
    const path = sent.path.replace("PLACE", Bucket);
    const answer = await sendBytes(server(), requestBytes({ ...sent, path }, changed, "body"));
    expect(answer?.status).toBe(403);
    expect(["SignatureDoesNotMatch", "AccessDenied"]).toContain(answer?.code);
    if (answer?.code === "SignatureDoesNotMatch") {
      expect(answer.body).toContain("<StringToSign>AWS4-HMAC-SHA256");
      expect(answer.body).toContain("<CanonicalRequest>");
    }
    expect(answer?.body).not.toContain(ROOT_KEY.secretKey);
    await expectNothing(server(), Bucket, "forged");
    await expectNothing(server(), Bucket, "forged2");
  });

  test("nobody may do anything without a signature, not even learn what exists", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    await sdkFor(server()).send(new PutObjectCommand({ Bucket, Key: "secret", Body: "x" }));
    for (const [method, path] of [
      ["GET", "/"],
      ["GET", `/${Bucket}`],
      ["GET", "/not-there"],
      ["GET", `/${Bucket}/secret`],
      ["GET", `/${Bucket}/not-there`],
      ["PUT", `/${Bucket}/new`],
      ["DELETE", `/${Bucket}/secret`],
    ] as const) {
      const bytes = requestBytes({ method, path }, { Host: server().host, "Content-Length": "0" });
      const answer = await sendBytes(server(), bytes);
      expect([path, answer?.status, answer?.code]).toEqual([path, 403, "AccessDenied"]);
    }
    await sdkFor(server()).send(new HeadObjectCommand({ Bucket, Key: "secret" }));
  });

  test("signature version 2 is refused by name", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const headers = {
      Host: server().host,
      Authorization: `AWS ${ROOT_KEY.accessKey}:c2lnbmF0dXJl`,
    };
    const bytes = requestBytes({ method: "GET", path: `/${Bucket}` }, headers);
    const answer = await sendBytes(server(), bytes);
    expect([answer?.status, answer?.code]).toEqual([400, "InvalidRequest"]);
    expect(answer?.body).toContain("AWS4-HMAC-SHA256");
  });

  test("header and query authentication together are refused", async () => {
    const Bucket = await makeBucket(sdkFor(server()));
    const query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0";
    const path = `/${Bucket}?${query}`;
    const answer = await sendSigned(server(), { method: "GET", path });
    expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
  });

  test("presigned URLs put and get until they expire", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    const input = { Bucket, Key: "by link & more" };
    const put = await getSignedUrl(s3, new PutObjectCommand(input), { expiresIn: 60 });
    expect((await fetch(put, { method: "PUT", body: "linked" })).status).toBe(200);
    const get = await getSignedUrl(s3, new GetObjectCommand(input), { expiresIn: 60 });
    const got = await fetch(get);
    expect([got.status, await got.text()]).toEqual([200, "linked"]);
    const expired = await getSignedUrl(s3, new GetObjectCommand(input), {
      ...{ expiresIn: 60, signingDate: new Date(Date.now() - 61_000) },
    });
    const late = await fetch(expired);
    expect(late.status).toBe(403);
    expect(await late.text()).toContain("<Code>AccessDenied</Code>");
    const altered = await fetch(get.replace("by%20link", "by%20lynk"));
    expect(altered.status).toBe(403);
    expect(await altered.text()).toContain("<Code>SignatureDoesNotMatch</Code>");
    const wrongVerb = await fetch(get, { method: "DELETE" });
    expect(wrongVerb.status).toBe(403);
    await wrongVerb.arrayBuffer();
  });

  test("a link to a copy copies: its source stands in the query", async () => {
    const s3 = sdkFor(server());
    const Bucket = await makeBucket(s3);
    for (const Key of ["source", "target"]) {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
    }
    const input = { Bucket, Key: "target", CopySource: `${Bucket}/source` };
    const copy = await getSignedUrl(s3, new CopyObjectCommand(input), { expiresIn: 60 });
    expect(copy).toContain("x-amz-copy-source=");
    const copied = await fetch(copy, { method: "PUT" });
    expect([copied.status, await copied.text()]).toEqual([
      200,
      expect.stringContaining("<CopyObjectResult"),
    ]);
    const got = await s3.send(new GetObjectCommand({ Bucket, Key: "target" }));
    expect(await got.Body?.transformToString()).toBe("source");
  });

  test.each(["0", "604801", "-1", "x"])("a link cannot live %s seconds", async (expires) => {
    const Bucket = await makeBucket(sdkFor(server()));
    const signed = aws4.sign(
      {
        ...{ host: server().host, service: "s3", region: REGION, signQuery: true },
        path: `/${Bucket}/linked?X-Amz-Expires=${expires}`,
      },
      { accessKeyId: ROOT_KEY.accessKey, secretAccessKey: ROOT_KEY.secretKey },
    );
    const answer = await fetch(`${server().endpoint}${signed.path}`);
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("<Code>AuthorizationQueryParametersError</Code>");
  });
});
