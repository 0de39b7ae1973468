import { ByteWriter } from "./bytes.ts";
import { signBytes, verifyBytes } from "./ed25519.ts";
import type { SiteKeyPair } from "./identity.ts";
import type { ClusterId, OriginId, Seq, SiteId } from "./names.ts";

/** A position in an origin's log, said by the site that the origin belongs to. */
export type HeadStatement = {
  readonly cluster: ClusterId;
  readonly site: SiteId;
  readonly origin: OriginId;
  readonly seq: Seq;
  /** 32 bytes: the hash chain of the origin's log after that operation. */
  readonly chain: Uint8Array;
};

/*
 * What is signed, with Ed25519 (RFC 8032). The text in front keeps a head from ever being taken
 * for anything else that the same key signs.
 *
 * | offset | bytes | meaning                             |
 * | ------ | ----- | ----------------------------------- |
 * | 0      | 13    | "atoll-head-1", line feed           |
 * | 13     | 16    | cluster id                          |
 * | 29     | 8     | site id                             |
 * | 37     | 8     | origin                              |
 * | 45     | 8     | sequence                            |
 * | 53     | 32    | chain                               |
 */
const PURPOSE = Buffer.from("atoll-head-1\n");
/** Signs a head with the site's key pair: 64 bytes. */
export function signHead(keyPair: SiteKeyPair, head: HeadStatement): Buffer {
  return signBytes(keyPair, statementBytes(head));
}

/**
 * Whether the site with this public key (32 bytes in hex) signed exactly this head. False for
 * anything malformed; never throws for what came from outside.
 */
export function verifyHead(publicKey: string, head: HeadStatement, signature: Uint8Array): boolean {
  return verifyBytes(publicKey, statementBytes(head), signature);
}

function statementBytes({ cluster, site, origin, seq, chain }: HeadStatement): Buffer {
  const writer = new ByteWriter(128);
  writer.bytes(PURPOSE).hex(cluster).hex(site).hex(origin).u64(seq).bytes(chain);
  return writer.finish();
}
