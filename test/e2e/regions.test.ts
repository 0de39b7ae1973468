import { describe, expect, test } from "vitest";
import { requestBytes, sendBytes, sendSigned } from "../support/raw-http.ts";
import { ENGINES, type TestServer, useServer } from "../support/server.ts";

const XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

function inRegion(server: () => TestServer, region: string) {
  return (method: string, path: string, body?: string) =>
    sendSigned(server(), {
      ...{ method, path, region },
      ...(body === undefined ? { headers: { "Content-Length": "0" } } : { body }),
    });
}

function located(constraint: string): string {
  return (
    `<CreateBucketConfiguration ${XMLNS}><LocationConstraint>${constraint}</LocationConstraint>` +
    "</CreateBucketConfiguration>"
  );
}

describe.each(ENGINES)("buckets of another region than the first on %s", (engine) => {
  const server = useServer({ engine, flags: ["--region", "eu-west-1"] });
  const send = inRegion(server, "eu-west-1");

  test.each([
    ["named", located("eu-west-1")],
    ["old-name", located("EU")],
    ["nameless", undefined],
    ["empty", located("")],
  ])("a bucket is made in the site's region when it is %s", async (name, body) => {
    const made = await send("PUT", `/region-${name}`, body);
    expect([made.status, made.headers["location"]]).toEqual([200, `/region-${name}`]);
    const head = await send("HEAD", `/region-${name}`);
    expect([head.status, head.headers["x-amz-bucket-region"]]).toEqual([200, "eu-west-1"]);
    const location = await send("GET", `/region-${name}?location`);
    expect(location.body).toContain(`<LocationConstraint ${XMLNS}>eu-west-1</LocationConstraint>`);
  });

  test.each(["us-east-2", "nowhere", "us-east-1"])("it cannot be made in %s", async (region) => {
    const refused = await send("PUT", "/elsewhere", located(region));
    expect([refused.status, refused.code]).toEqual([400, "IllegalLocationConstraintException"]);
    expect((await send("HEAD", "/elsewhere")).status).toBe(404);
  });

  test("making one's own bucket again is a conflict, as outside us-east-1", async () => {
    await send("PUT", "/mine-already");
    const again = await send("PUT", "/mine-already");
    expect([again.status, again.code]).toEqual([409, "BucketAlreadyOwnedByYou"]);
  });

  test("whoever asks for the head of a bucket is told its region, and no more", async () => {
    await send("PUT", "/whose");
    const head = async (path: string, more: object) => {
      const request = { method: "HEAD", path, headers: { Connection: "close" } };
      const { status, headers } = await sendSigned(server(), { ...request, ...more });
      return [status, headers["x-amz-bucket-region"]];
    };
    const region = "eu-west-1";
    for (const path of ["/whose", "/no-such-bucket"]) {
      const lines = { Host: server().host, Connection: "close" };
      const unsigned = await sendBytes(server(), requestBytes({ method: "HEAD", path }, lines));
      expect([unsigned?.status, unsigned?.headers["x-amz-bucket-region"]]).toEqual([403, region]);
      expect(await head(path, { region, secretKey: "wrong" })).toEqual([403, region]);
      expect(await head(path, { region: "us-east-1" })).toEqual([400, region]);
    }
    expect(await head("/no-such-bucket", { region })).toEqual([404, undefined]);
  });

  test("who signs for another region is told the right one", async () => {
    const refused = await inRegion(server, "us-east-1")("GET", "/");
    expect([refused.status, refused.code]).toEqual([400, "AuthorizationHeaderMalformed"]);
    expect(refused.body).toContain("<Region>eu-west-1</Region>");
  });
});

describe.each(ENGINES)("buckets of the first region on %s", (engine) => {
  const server = useServer({ engine });
  const send = inRegion(server, "us-east-1");

  test("making one's own bucket again succeeds, and the location is empty", async () => {
    for (const body of [undefined, undefined, located(""), located("us-east-1")]) {
      expect((await send("PUT", "/again-and-again", body)).status).toBe(200);
    }
    const location = await send("GET", "/again-and-again?location");
    expect(location.body).toMatch(/<LocationConstraint [^>]*(\/>|><\/LocationConstraint>)/);
    const slash = await send("HEAD", "/again-and-again/");
    expect([slash.status, slash.headers["x-amz-bucket-region"]]).toEqual([200, "us-east-1"]);
  });

  test.each([
    ["<CreateBucketConfiguration><LocationConstraint>", "MalformedXML"],
    ["<Other/>", "MalformedXML"],
    ["not xml", "MalformedXML"],
  ])("the body %j makes no bucket", async (body, code) => {
    const refused = await send("PUT", "/never-made", body);
    expect([refused.status, refused.code]).toEqual([400, code]);
    expect((await send("HEAD", "/never-made")).status).toBe(404);
  });

  test.each(["0", "10001", "x", "-1"])("max-buckets %s is refused", async (max) => {
    const refused = await send("GET", `/?max-buckets=${max}`);
    expect([refused.status, refused.code]).toEqual([400, "InvalidArgument"]);
  });

  test("a token of buckets that has been changed is refused", async () => {
    const refused = await send("GET", "/?max-buckets=1&continuation-token=AAAAAAAA");
    expect([refused.status, refused.code]).toEqual([400, "InvalidArgument"]);
  });
});
