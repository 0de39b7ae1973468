import { createHash } from "node:crypto";
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import {
  BOUNDARY,
  type Form,
  formBytes,
  postBytes,
  postForm,
  type Signing,
  signedFields,
} from "../support/forms.ts";
import { requestBytes, sendBytes } from "../support/raw-http.ts";
import { makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;
const FILENAME = `\${filename}`;

async function keysIn(server: TestServer, Bucket: string): Promise<string[]> {
  const page = await sdkFor(server).send(new ListObjectsV2Command({ Bucket }));
  return (page.Contents ?? []).map(({ Key = "" }) => Key);
}

async function bodyOf(server: TestServer, Bucket: string, Key: string): Promise<Buffer> {
  const { Body } = await sdkFor(server).send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function openToEverybody(server: TestServer, Bucket: string): Promise<void> {
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: "*",
        Action: "s3:PutObject",
        Resource: `arn:aws:s3:::${Bucket}/public/*`,
      },
    ],
  });
  await sdkFor(server).send(new PutBucketPolicyCommand({ Bucket, Policy }));
}

type Attempt = {
  readonly conditions?: readonly unknown[];
  readonly fields?: Form["fields"];
  readonly file?: Form["file"];
  readonly filename?: string;
  readonly signing?: Signing;
};

/** A form for the key "k" that is right, but for what the attempt changes. */
function signedForm(bucket: string, attempt: Attempt = {}): Form {
  const { conditions = [], fields = [], file = "content", filename, signing } = attempt;
  const basic = [{ bucket }, ["starts-with", "$key", ""], ...conditions];
  const hasKey = fields.some(([name]) => name.toLowerCase() === "key");
  const form = {
    fields: [
      ...(hasKey ? [] : [["key", "k"] as const]),
      ...fields,
      ...signedFields(basic, signing),
    ],
    file,
  };
  return filename === undefined ? form : { ...form, filename };
}

describe.each(ENGINES)("forms on %s", (engine) => {
  const server = useServer({ engine });
  const newBucket = () => makeBucket(sdkFor(server()));

  test("a signed form stores its file with all that its fields say", async () => {
    const Bucket = await newBucket();
    const tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>";
    const fields = [
      ["key", `user/${FILENAME}`],
      ["Content-Type", "image/png"],
      ["Cache-Control", "no-store"],
      ["x-amz-meta-Who", "me"],
      ["tagging", tagging],
    ] as const;
    const conditions = [
      ["starts-with", "$Content-Type", "image/"],
      { "cache-control": "no-store" },
      { "x-amz-meta-who": "me" },
      ["starts-with", "$tagging", ""],
    ];
    const form = signedForm(Bucket, { conditions, fields, filename: "C:\\tmp\\cat.png" });
    const answer = await postForm(server(), Bucket, form);
    expect([answer.status, answer.body]).toEqual([204, ""]);
    const md5 = createHash("md5").update("content").digest("hex");
    expect(answer.headers).toMatchObject({
      etag: `"${md5}"`,
      location: `http://${server().host}/${Bucket}/user%2Fcat.png`,
      "x-amz-checksum-type": "FULL_OBJECT",
    });
    const where = { Bucket, Key: "user/cat.png" };
    const head = await sdkFor(server()).send(new HeadObjectCommand(where));
    expect(head).toMatchObject({
      ContentType: "image/png",
      CacheControl: "no-store",
      Metadata: { who: "me" },
    });
    const tags = await sdkFor(server()).send(new GetObjectTaggingCommand(where));
    expect(tags.TagSet).toEqual([{ Key: "a", Value: "1" }]);
    expect((await bodyOf(server(), Bucket, "user/cat.png")).toString()).toBe("content");
  });

  test("names of fields and conditions may be written in capitals, and the bucket be a field", async () => {
    const Bucket = await newBucket();
    const { fields, file = "" } = signedForm(Bucket, { conditions: [["EQ", "$KEY", "k"]] });
    const loud = fields.map(([name, value]) => [name.toUpperCase(), value] as const);
    const form = { fields: [["bucket", Bucket] as const, ...loud], file };
    expect((await postForm(server(), Bucket, form)).status).toBe(204);
    const other = { fields: [["bucket", "another"] as const, ...loud], file };
    const answer = await postForm(server(), Bucket, other);
    expect([answer.status, answer.code]).toEqual([403, "AccessDenied"]);
    expect(await keysIn(server(), Bucket)).toEqual(["k"]);
  });

  test.each([10, 2 * MIB])(
    "a file of %i bytes is encrypted when the form asks for it",
    async (bytes) => {
      const Bucket = await newBucket();
      const name = "x-amz-server-side-encryption";
      const file = patternBytes(bytes);
      const form = signedForm(Bucket, {
        conditions: [{ [name]: "AES256" }],
        fields: [[name, "AES256"]],
        file,
      });
      const answer = await postForm(server(), Bucket, form);
      expect([answer.status, answer.headers[name]]).toEqual([204, "AES256"]);
      const head = await sdkFor(server()).send(new HeadObjectCommand({ Bucket, Key: "k" }));
      expect([head.ServerSideEncryption, head.ContentLength]).toEqual(["AES256", bytes]);
      expect((await bodyOf(server(), Bucket, "k")).equals(file)).toBe(true);
    },
  );

  test.each([0, 1, 200_000, 9 * MIB])("a file of %i bytes arrives whole", async (bytes) => {
    const Bucket = await newBucket();
    const file = patternBytes(bytes);
    expect((await postForm(server(), Bucket, signedForm(Bucket, { file }))).status).toBe(204);
    expect((await bodyOf(server(), Bucket, "k")).equals(file)).toBe(true);
  });

  test.each([
    ["201", 201],
    ["200", 200],
    ["204", 204],
    ["404", 204],
  ])("success_action_status %s is answered with %i", async (wanted, status) => {
    const Bucket = await newBucket();
    const fields = [
      ["key", "a b/<k>"],
      ["success_action_status", wanted],
    ] as const;
    const conditions = [{ success_action_status: wanted }];
    const answer = await postForm(server(), Bucket, signedForm(Bucket, { conditions, fields }));
    expect(answer.status).toBe(status);
    if (status !== 201) {
      expect(answer.body).toBe("");
      return;
    }
    const location = `http://${server().host}/${Bucket}/a%20b%2F%3Ck%3E`;
    expect(answer.headers).toMatchObject({ location, "content-type": "application/xml" });
    expect(answer.body).toContain(
      `<PostResponse><Location>${location}</Location><Bucket>${Bucket}</Bucket>` +
        "<Key>a b/&lt;k&gt;</Key><ETag>&quot;",
    );
  });

  test.each([
    ["http://example.com/done", "http://example.com/done?"],
    ["https://example.com/done?a=1#top", "https://example.com/done?a=1&"],
  ])("a redirect to %s names what was stored", async (success_action_redirect, beginning) => {
    const Bucket = await newBucket();
    const fields = [
      ["key", "a/b c"],
      ["success_action_redirect", success_action_redirect],
    ] as const;
    const conditions = [{ success_action_redirect }];
    const answer = await postForm(server(), Bucket, signedForm(Bucket, { conditions, fields }));
    const etag = createHash("md5").update("content").digest("hex");
    const query = `bucket=${Bucket}&key=a%2Fb+c&etag=%22${etag}%22`;
    const end = success_action_redirect.endsWith("#top") ? "#top" : "";
    expect([answer.status, answer.body]).toEqual([303, ""]);
    expect(answer.headers["location"]).toBe(`${beginning}${query}${end}`);
  });

  test.each(["/relative", "javascript:alert(1)", "http://"])(
    "a redirect to %s is as if it were not there",
    async (success_action_redirect) => {
      const Bucket = await newBucket();
      const fields = [["success_action_redirect", success_action_redirect]] as const;
      const conditions = [{ success_action_redirect }];
      const answer = await postForm(server(), Bucket, signedForm(Bucket, { conditions, fields }));
      expect(answer.status).toBe(204);
    },
  );

  const RANGE = [["content-length-range", 5, 10]];
  const refusals: ReadonlyArray<readonly [string, Attempt, number, string, string]> = [
    ["another secret", { signing: { secretKey: "other" } }, 403, "SignatureDoesNotMatch", ""],
    ["an unknown key", { signing: { accessKey: "NOBODY01" } }, 403, "InvalidAccessKeyId", ""],
    ["a policy that has ended", { signing: { endsInMs: -1 } }, 403, "AccessDenied", "expired"],
    [
      "a signature of eight days ago",
      { signing: { signedMs: Date.now() - 8 * 86_400_000 } },
      403,
      "AccessDenied",
      "expired",
    ],
    [
      "a field that no condition covers",
      { fields: [["x-amz-meta-a", "1"]] },
      403,
      "AccessDenied",
      "Extra input fields: x-amz-meta-a",
    ],
    [
      "a failed condition",
      { conditions: [{ acl: "private" }], fields: [["acl", "public-read"]] },
      403,
      "AccessDenied",
      "Policy Condition failed: [&quot;eq&quot;, &quot;$acl&quot;, &quot;private&quot;]",
    ],
    ["a small file", { conditions: RANGE, file: "1" }, 400, "EntityTooSmall", ""],
    ["a large file", { conditions: RANGE, file: "12345678901" }, 400, "EntityTooLarge", ""],
    [
      "a file of MiB beyond its range",
      { conditions: RANGE, file: Buffer.alloc(2 * MIB) },
      400,
      "EntityTooLarge",
      "",
    ],
    [
      "a file of MiB below its range",
      { conditions: [["content-length-range", 3 * MIB, 4 * MIB]], file: Buffer.alloc(2 * MIB) },
      400,
      "EntityTooSmall",
      "",
    ],
    [
      "a range without an end",
      { conditions: [["content-length-range", 0]] },
      400,
      "InvalidPolicyDocument",
      "",
    ],
    ["an empty condition", { conditions: [{}] }, 400, "InvalidPolicyDocument", ""],
    ["an empty key", { fields: [["key", ""]] }, 400, "UserKeyMustBeSpecified", "'key'"],
    ["a key of 1,025 bytes", { fields: [["key", "k".repeat(1025)]] }, 400, "KeyTooLongError", ""],
    [
      "a field twice",
      {
        fields: [
          ["key", "a"],
          ["Key", "b"],
        ],
      },
      400,
      "InvalidArgument",
      "",
    ],
    [
      "a wrong checksum",
      {
        conditions: [["starts-with", "$x-amz-checksum-crc32", ""]],
        fields: [["x-amz-checksum-crc32", "AAAAAA=="]],
      },
      400,
      "BadDigest",
      "",
    ],
    [
      "a wrong checksum of MiB",
      {
        conditions: [["starts-with", "$x-amz-checksum-crc32", ""]],
        fields: [["x-amz-checksum-crc32", "AAAAAA=="]],
        file: patternBytes(2 * MIB),
      },
      400,
      "BadDigest",
      "",
    ],
    [
      "tags that are no XML",
      { conditions: [["starts-with", "$tagging", ""]], fields: [["tagging", "a=1"]] },
      400,
      "MalformedXML",
      "",
    ],
    [
      "an unknown storage class",
      {
        conditions: [{ "x-amz-storage-class": "FAKE" }],
        fields: [["x-amz-storage-class", "FAKE"]],
      },
      400,
      "InvalidStorageClass",
      "",
    ],
    ["signature version 2", { fields: [["AWSAccessKeyId", "A"]] }, 400, "InvalidRequest", ""],
    ["a security token", { fields: [["x-amz-security-token", "t"]] }, 400, "InvalidToken", ""],
    [
      "20 KiB of fields",
      { fields: [["a", "x".repeat(20_480)]] },
      400,
      "MaxPostPreDataLengthExceededError",
      "",
    ],
  ];
  test.each(refusals)("a form with %s is refused, and nothing stays", async (...row) => {
    const [, attempt, status, code, message] = row;
    const Bucket = await newBucket();
    const answer = await postForm(server(), Bucket, signedForm(Bucket, attempt));
    expect([answer.status, answer.code]).toEqual([status, code]);
    expect(answer.body).toContain(message);
    expect(await keysIn(server(), Bucket)).toEqual([]);
  });

  test.each(["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "policy"])(
    "a signed form without %s is refused by its name",
    async (missing) => {
      const Bucket = await newBucket();
      const { fields, file } = signedForm(Bucket);
      const rest = fields.filter(([name]) => name !== missing);
      const answer = await postForm(server(), Bucket, { fields: rest, file: file ?? "" });
      expect([answer.status, answer.code]).toEqual([400, "InvalidArgument"]);
      expect(answer.body.toLowerCase()).toContain(`<argumentname>${missing}</argumentname>`);
      expect(await keysIn(server(), Bucket)).toEqual([]);
    },
  );

  test("a policy is for its bucket only", async () => {
    const [Bucket, other] = [await newBucket(), await newBucket()];
    const answer = await postForm(server(), other, signedForm(Bucket));
    expect([answer.status, answer.code]).toEqual([403, "AccessDenied"]);
    expect(await keysIn(server(), other)).toEqual([]);
    const nowhere = await postForm(server(), "not-there", signedForm("not-there"));
    expect([nowhere.status, nowhere.code]).toEqual([404, "NoSuchBucket"]);
  });

  test("nobody may send a form unless a policy lets everybody", async () => {
    const Bucket = await newBucket();
    const unsigned = (key: string): Form => ({ fields: [["key", key]], file: "x" });
    const before = await postForm(server(), Bucket, unsigned("public/a"));
    expect([before.status, before.code]).toEqual([403, "AccessDenied"]);
    await openToEverybody(server(), Bucket);
    expect((await postForm(server(), Bucket, unsigned("public/a"))).status).toBe(204);
    const elsewhere = await postForm(server(), Bucket, unsigned("private/a"));
    expect([elsewhere.status, elsewhere.code]).toEqual([403, "AccessDenied"]);
    expect(await keysIn(server(), Bucket)).toEqual(["public/a"]);
  });

  test("a policy that nobody signed binds all the same", async () => {
    const Bucket = await newBucket();
    await openToEverybody(server(), Bucket);
    const conditions = [{ bucket: Bucket }, { key: "public/a" }, RANGE[0]];
    const document = { expiration: "2999-01-01T00:00:00Z", conditions };
    const policy = Buffer.from(JSON.stringify(document)).toString("base64");
    const fields = [
      ["key", "public/a"],
      ["policy", policy],
    ] as const;
    const small = await postForm(server(), Bucket, { fields, file: "1" });
    expect([small.status, small.code]).toEqual([400, "EntityTooSmall"]);
    expect((await postForm(server(), Bucket, { fields, file: "12345" })).status).toBe(204);
  });

  test("policies see that a form was signed, and how long ago", async () => {
    const Bucket = await newBucket();
    const deny = (folder: string, Condition: object) => ({
      ...{ Effect: "Deny", Principal: "*", Action: "s3:PutObject", Condition },
      Resource: `arn:aws:s3:::${Bucket}/${folder}/*`,
    });
    const Statement = [
      deny("no-forms", { StringEquals: { "s3:authType": "POST" } }),
      deny("fresh", { NumericGreaterThan: { "s3:signatureAge": "600000" } }),
      deny("linked", { StringNotEquals: { "aws:Referer": "http://page.test/" } }),
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await sdkFor(server()).send(new PutBucketPolicyCommand({ Bucket, Policy }));
    const old = { signedMs: Date.now() - 1_200_000 };
    const post = async (key: string, signing: Signing, headers = {}) => {
      const form = signedForm(Bucket, { fields: [["key", key]], signing });
      return (await postBytes(server(), Bucket, formBytes(form), headers)).status;
    };
    expect(await post("no-forms/a", {})).toBe(403);
    expect(await post("fresh/a", old)).toBe(403);
    expect(await post("fresh/b", {})).toBe(204);
    expect(await post("linked/a", {})).toBe(403);
    expect(await post("linked/b", {}, { Referer: "http://page.test/" })).toBe(204);
    expect(await post("any", old)).toBe(204);
    expect(await keysIn(server(), Bucket)).toEqual(["any", "fresh/b", "linked/b"]);
  });

  test("what is no form is refused, whoever sends it", async () => {
    const Bucket = await newBucket();
    const body = formBytes(signedForm(Bucket));
    const cases = [
      [{ "Content-Type": "text/plain" }, 412, "RequestIsNotMultiPartContent"],
      [{ "Content-Type": "multipart/form-data" }, 400, "MalformedPOSTRequest"],
      [{ Authorization: "AWS4-HMAC-SHA256 x" }, 400, "InvalidArgument"],
    ] as const;
    for (const [headers, status, code] of cases) {
      const answer = await postBytes(server(), Bucket, body, { ...headers });
      expect([answer.status, answer.code]).toEqual([status, code]);
    }
    expect(await keysIn(server(), Bucket)).toEqual([]);
  });

  test("a query parameter is refused by name, once it is known who asks", async () => {
    const Bucket = await newBucket();
    const known = await postForm(server(), `${Bucket}?analytics`, signedForm(Bucket));
    expect([known.status, known.code]).toEqual([501, "NotImplemented"]);
    const nobody: Form = { fields: [["key", "k"]], file: "x" };
    const stranger = await postForm(server(), `${Bucket}?analytics`, nobody);
    expect([stranger.status, stranger.code]).toEqual([403, "AccessDenied"]);
    expect(await keysIn(server(), Bucket)).toEqual([]);
  });

  const HOSTILE: ReadonlyArray<readonly [string, (form: string) => string, string]> = [
    ["no end", (form) => form.replace(`\r\n--${BOUNDARY}--\r\n`, ""), "MalformedPOSTRequest"],
    ["no beginning", (form) => form.slice(BOUNDARY.length), "UserKeyMustBeSpecified"],
    [
      "text behind the file's delimiter",
      (form) => form.replace("--\r\n", "x"),
      "MalformedPOSTRequest",
    ],
    ["another boundary", (form) => form.replaceAll("Boundary", "boundary"), "MalformedPOSTRequest"],
    [
      "an encoded file",
      (form) => form.replace("Content-Type", "Content-Transfer-Encoding: base64\r\nX"),
      "MalformedPOSTRequest",
    ],
    [
      "its file under another name",
      (form) => form.replace('name="file"', 'name="upload"'),
      "IncorrectNumberOfFilesInPostRequest",
    ],
    [
      "its file first",
      (form) => form.replace('name="key"', 'name="file"'),
      "UserKeyMustBeSpecified",
    ],
  ];
  test.each(HOSTILE)("a form with %s is refused, and nothing stays", async (...row) => {
    const [, spoil, code] = row;
    const Bucket = await newBucket();
    const small = formBytes(signedForm(Bucket)).toString("latin1");
    const answer = await postBytes(server(), Bucket, Buffer.from(spoil(small), "latin1"));
    expect([answer.status, answer.code]).toEqual([400, code]);
    const file = Buffer.alloc(MIB, "x");
    const large = formBytes(signedForm(Bucket, { file })).toString("latin1");
    const late = await postBytes(server(), Bucket, Buffer.from(spoil(large), "latin1"));
    expect(late.status).toBe(400);
    expect(await keysIn(server(), Bucket)).toEqual([]);
  });

  test("what follows the file is ignored", async () => {
    const Bucket = await newBucket();
    const form = formBytes(signedForm(Bucket)).toString();
    const late = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="key"\r\n\r\nlate\r\n`;
    const body = Buffer.from(form.replace(`--${BOUNDARY}--`, `${late}--${BOUNDARY}--`));
    expect((await postBytes(server(), Bucket, body)).status).toBe(204);
    expect(await keysIn(server(), Bucket)).toEqual(["k"]);
  });

  test.each([100, 3 * MIB])("a client that leaves amid %i bytes leaves nothing", async (bytes) => {
    const Bucket = await newBucket();
    const body = formBytes(signedForm(Bucket, { file: Buffer.alloc(bytes, "x") }));
    const headers = {
      Host: server().host,
      "Content-Type": `multipart/form-data; boundary=${BOUNDARY}`,
      "Content-Length": String(body.length),
    };
    const part = body.subarray(0, body.length - BOUNDARY.length);
    const request = requestBytes({ method: "POST", path: `/${Bucket}` }, headers, part);
    const answer = await sendBytes(server(), request, { thenEnd: true });
    expect(answer?.status ?? 400).toBe(400);
    expect(await keysIn(server(), Bucket)).toEqual([]);
    expect((await postBytes(server(), Bucket, body)).status).toBe(204);
  });

  test("a form that does not say how long it is is refused", async () => {
    const Bucket = await newBucket();
    const headers = {
      Host: server().host,
      "Content-Type": `multipart/form-data; boundary=${BOUNDARY}`,
      "Transfer-Encoding": "chunked",
    };
    const request = requestBytes({ method: "POST", path: `/${Bucket}` }, headers, "0\r\n\r\n");
    const answer = await sendBytes(server(), request);
    expect([answer?.status, answer?.code]).toEqual([411, "MissingContentLength"]);
  });
});
