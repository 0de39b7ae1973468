import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import {
  certificateEndMs,
  hostsNotNamed,
  isKeyOfCertificate,
  makeSelfSigned,
} from "./self-signed.ts";

const NOW_MS = Date.UTC(2026, 10, 21);
const HOSTS = ["localhost", "atoll.example", "127.0.0.1", "::1", "2001:db8::a:b"];

test("vouches for itself, its names and its addresses, and for no other", () => {
  const { certificate, key } = makeSelfSigned(HOSTS, NOW_MS, 825);
  const parsed = new X509Certificate(certificate);
  expect(parsed.verify(parsed.publicKey)).toBe(true);
  expect(parsed.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(parsed.checkHost("atoll.example")).toBe("atoll.example");
  expect(parsed.checkHost("other.example")).toBeUndefined();
  expect(parsed.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(parsed.checkIP("::1")).toBe("::1");
  expect(parsed.checkIP("2001:db8::a:b")).toBe("2001:db8::a:b");
  expect(parsed.checkIP("127.0.0.2")).toBeUndefined();
  expect(Date.parse(parsed.validFrom)).toBe(NOW_MS - 3_600_000);
  expect(Date.parse(parsed.validTo)).toBe(NOW_MS + 825 * 86_400_000);
});

test("is taken by a TLS client that was told to trust it", async () => {
  const { certificate: cert, key } = makeSelfSigned(["localhost"], Date.now(), 1);
  const server = createServer({ cert, key }, (socket) => socket.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", ca: cert, servername: "localhost" });
    socket.on("data", (bytes) => resolve(String(bytes)));
    socket.on("error", reject);
  });
  server.close();
  expect(text).toBe("hello");
});

test("two are never the same", () => {
  const [one, two] = [1, 2].map(() => new X509Certificate(makeSelfSigned(["a"], 0, 1).certificate));
  expect(one?.serialNumber).not.toBe(two?.serialNumber);
});

test("tells when a certificate ends, beyond 2050 too, and of no text that is none", () => {
  const days = 30 * 365;
  const { certificate } = makeSelfSigned(["a"], NOW_MS, days);
  expect(certificateEndMs(certificate)).toBe(NOW_MS + days * 86_400_000);
  expect(certificateEndMs("nothing")).toBeUndefined();
});

test("tells for which hosts a certificate does not stand", () => {
  const named = [...HOSTS, "*.s3.example", "Site_7.b"];
  const { certificate } = makeSelfSigned(named, NOW_MS, 1);
  expect(hostsNotNamed(certificate, named)).toEqual([]);
  const others = ["10.0.0.5", "fd00::1", "s3.example", "*.atoll.example", "berlin"];
  expect(hostsNotNamed(certificate, [...others, ...named])).toEqual(others);
});

test.each(["ec", "rsa"] as const)("a certificate is not that of another key: %s", (kind) => {
  const { certificate, key } = makeSelfSigned(["a"], NOW_MS, 1);
  const other =
    kind === "ec"
      ? makeSelfSigned(["a"], NOW_MS, 1).key
      : generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
          ...{ type: "pkcs8", format: "pem" },
        });
  expect(isKeyOfCertificate(Buffer.from(certificate), Buffer.from(key))).toBe(true);
  expect(isKeyOfCertificate(Buffer.from(certificate), Buffer.from(other))).toBe(false);
  expect(() => isKeyOfCertificate(Buffer.from("nothing"), Buffer.from(key))).toThrow();
});
