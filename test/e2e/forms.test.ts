import { createHash } from "node:crypto";
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import {
  type Form,
  formBytes,
  postBytes,
  postForm,
  type Signing,
  signedForm,
} from "../support/forms.ts";
import { keysIn, makeBucket, patternBytes, sdkFor } from "../support/sdk.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

const MIB = 1024 * 1024;
const FILENAME = `\${filename}`;

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
    const conditions = [{ bucket: Bucket }, { key: "public/a" }, ["content-length-range", 5, 10]];
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
});
