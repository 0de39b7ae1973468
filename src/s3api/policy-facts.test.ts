import aws4 from "aws4";
import { expect, test } from "vitest";
import { ask } from "../../test/support/fake-exchange.ts";
import { documentOf } from "../../test/support/policies.ts";
import { credentialOf } from "../../test/support/s3-site.ts";
import { useS3Site } from "../../test/support/s3-suite.ts";

const { site, makeBucket, expectStatus } = useS3Site();

test("a policy keeps links from bringing what nobody signed, as AWS's page has it", async () => {
  const bucket = await makeBucket();
  const everything = { Effect: "Allow", Action: "s3:*", Resource: "*" };
  const unsigned = { StringEquals: { "s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD" } };
  const deny = { Effect: "Deny", Action: "s3:PutObject", Resource: "*", Condition: unsigned };
  const as = credentialOf("SIGNEDONLY", { policies: [documentOf([everything, deny])] });
  site().add(as);
  const { path = "" } = aws4.sign(
    {
      ...{ method: "PUT", host: "s3.test:9000", service: "s3", region: "us-east-1" },
      ...{ path: `/${bucket}/linked?X-Amz-Expires=60`, signQuery: true },
    },
    { accessKeyId: as.id, secretAccessKey: as.secret },
  );
  const headers = { Host: "s3.test:9000", "Content-Length": "1" };
  const link = { method: "PUT", target: path, headers, body: Buffer.from("x") };
  expect((await ask(site().handler, link)).status).toBe(403);
  await expectStatus({ method: "PUT", path: `/${bucket}/signed`, body: "x", as }, 200);
});
