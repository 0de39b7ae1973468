import { expect, test } from "vitest";
import { type BannerFacts, endpointOf, serveBanner } from "./banner.ts";

const facts: BannerFacts = {
  version: "0.1.0",
  dataDirectory: "/srv/atoll",
  host: "127.0.0.1",
  port: 9000,
  secure: false,
  region: "us-east-1",
  accessKey: "ATOLA",
  secretKey: "it's $HOME",
  trustFile: undefined,
};

test("the banner has the endpoint, the root key and lines that survive a shell", () => {
  const banner = serveBanner(facts);
  expect(banner).toContain("  endpoint    http://127.0.0.1:9000\n");
  expect(banner).toContain("  secret key  it's $HOME\n");
  expect(banner).toContain("AWS_SECRET_ACCESS_KEY='it'\\''s $HOME' AWS_DEFAULT_REGION=us-east-1");
  expect(banner).toContain("aws --endpoint-url http://127.0.0.1:9000 s3 mb s3://photos");
  expect(banner).toContain("--host-bucket=127.0.0.1:9000 --region=us-east-1 --no-ssl ls");
});

test("clients are told of a certificate that they cannot know", () => {
  const trustFile = "/my data/tls/self-signed.pem";
  const banner = serveBanner({ ...facts, secure: true, trustFile });
  expect(banner).toContain("\n  export AWS_CA_BUNDLE='/my data/tls/self-signed.pem'\n");
  expect(banner).toContain(" --ssl --ca-certs='/my data/tls/self-signed.pem' ls");
  const known = serveBanner({ ...facts, secure: true });
  expect(known).toContain(" --ssl ls");
  expect(known).not.toMatch(/AWS_CA_BUNDLE|--ca-certs/);
});

test("a root key of the operator's own is not shown", () => {
  const banner = serveBanner({ ...facts, secretKey: undefined });
  expect(banner).toContain("(yours, from the settings)");
  expect(banner).toContain('AWS_SECRET_ACCESS_KEY="$ATOLL_ROOT_SECRET_KEY"');
});

test.each([
  ["::", false, "http://localhost:9000"],
  ["0.0.0.0", true, "https://localhost:9000"],
  ["::1", false, "http://[::1]:9000"],
  ["s3.local", true, "https://s3.local:9000"],
])("the endpoint of %s (secure: %s) is %s", (host, secure, endpoint) => {
  expect(endpointOf({ host, port: 9000, secure })).toBe(endpoint);
});
