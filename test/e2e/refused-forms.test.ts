import { describe, expect, test } from "vitest";
import {
  type Attempt,
  BOUNDARY,
  type Form,
  formBytes,
  postBytes,
  postForm,
  signedForm,
} from "../support/forms.ts";
import { requestBytes, sendBytes } from "../support/raw-http.ts";
import { keysIn, makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { ENGINES, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;

describe.each(ENGINES)("refused forms on %s", (engine) => {
  const server = useServer({ engine });
  const newBucket = () => makeBucket(sdkFor(server()));

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
