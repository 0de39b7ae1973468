import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { sha256 } from "../core/hmac.ts";

/** Both in PEM. */
export type SelfSigned = { readonly certificate: string; readonly key: string };

/**
 * A self-signed certificate, ECDSA on P-256, for the given names and addresses. Meant for a first
 * day and for closed networks: clients must be told to trust it. X.509 version 3:
 * https://www.rfc-editor.org/rfc/rfc5280
 *
 * @param hosts names (ASCII) and IP addresses; at least one.
 * @param nowMs Unix milliseconds; it is valid from an hour before, for `days`.
 */
export function makeSelfSigned(hosts: readonly string[], nowMs: number, days: number): SelfSigned {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = publicKey.export({ type: "spki", format: "der" });
  const name = sequence(set(sequence(OID.commonName, der(TAG.utf8, Buffer.from("Atoll")))));
  const extensions = sequence(
    extension(OID.basicConstraints, sequence(der(TAG.boolean, Buffer.of(0xff)))),
    extension(OID.subjectAltName, sequence(...hosts.map(alternativeName))),
    extension(OID.extendedKeyUsage, sequence(OID.serverAuth)),
  );
  const body = sequence(
    der(TAG.version, der(TAG.integer, Buffer.of(2))),
    // Positive, and another for every key.
    der(TAG.integer, Buffer.concat([Buffer.of(0x01), sha256(key).subarray(0, 15)])),
    sequence(OID.ecdsaWithSha256),
    name,
    sequence(time(nowMs - HOUR_MS), time(nowMs + days * DAY_MS)),
    name,
    key,
    der(TAG.extensions, extensions),
  );
  const signature = sign("sha256", body, privateKey);
  const whole = sequence(
    body,
    sequence(OID.ecdsaWithSha256),
    der(TAG.bitString, Buffer.concat([Buffer.of(0), signature])),
  );
  const lines = whole.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

/** When a certificate (PEM) ends, Unix milliseconds; undefined when it cannot be read. */
export function certificateEndMs(pem: string | Uint8Array): number | undefined {
  try {
    return Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** Those of the hosts for which a certificate (PEM) does not stand; `*.` in front is any name. */
export function hostsNotNamed(pem: string, hosts: readonly string[]): readonly string[] {
  const certificate = new X509Certificate(pem);
  return hosts.filter((host) => {
    if (isIP(host) !== 0) return certificate.checkIP(host) === undefined;
    return certificate.checkHost(host.replace(/^\*\./, "any.")) === undefined;
  });
}

/**
 * True when the first certificate of a chain (PEM) is that of a private key (PEM). TLS itself
 * takes a certificate for one kind of key and a key of another kind without a word.
 *
 * @throws Error for what cannot be read as such.
 */
export function isKeyOfCertificate(chain: Buffer, key: Buffer): boolean {
  return new X509Certificate(chain).checkPrivateKey(createPrivateKey(key));
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Distinguished Encoding Rules (X.690): a tag, a length, a value. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  version: 0xa0,
  extensions: 0xa3,
  dnsName: 0x82,
  ipAddress: 0x87,
} as const;

const OID = {
  commonName: oid("550403"),
  ecdsaWithSha256: oid("2a8648ce3d040302"),
  basicConstraints: oid("551d13"),
  subjectAltName: oid("551d11"),
  extendedKeyUsage: oid("551d25"),
  serverAuth: oid("2b06010505070301"),
} as const;

function oid(hex: string): Buffer {
  return der(TAG.oid, Buffer.from(hex, "hex"));
}

function der(tag: number, value: Uint8Array): Buffer {
  const { length } = value;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), value]);
  const head = length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), value]);
}

function sequence(...items: readonly Uint8Array[]): Buffer {
  return der(TAG.sequence, Buffer.concat(items));
}

function set(item: Uint8Array): Buffer {
  return der(TAG.set, item);
}

function extension(id: Uint8Array, value: Uint8Array): Buffer {
  return sequence(id, der(TAG.octetString, value));
}

function alternativeName(host: string): Buffer {
  return isIP(host) === 0
    ? der(TAG.dnsName, Buffer.from(host, "ascii"))
    : der(TAG.ipAddress, addressBytes(host));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const left = groups(head);
  const right = groups(tail);
  const zeros = new Array<number>(8 - left.length - right.length).fill(0);
  const bytes = Buffer.alloc(16);
  for (const [at, group] of [...left, ...zeros, ...right].entries()) {
    bytes.writeUInt16BE(group, at * 2);
  }
  return bytes;
}

function groups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

/** Years before 2050 are written with two digits (RFC 5280, section 4.1.2.5). */
function time(unixMs: number): Buffer {
  const text = new Date(unixMs).toISOString().replace(/\.\d{3}|[-:T]/g, "");
  return text < "2050"
    ? der(TAG.utcTime, Buffer.from(text.slice(2)))
    : der(TAG.generalizedTime, Buffer.from(text));
}
