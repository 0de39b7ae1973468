import { ByteReader, ByteWriter, LayoutError } from "./bytes.ts";
import { HmacKey, sha256 } from "./hmac.ts";
import type { EncryptionEnvelope, PartSummary } from "./records.ts";
import {
  isSealedWithCurrent,
  type KeyRing,
  sealingKeyOf,
  sealSecret,
  unsealSecret,
} from "./seal.ts";

const LAYOUT_VERSION = 1;
const SECRET_BYTES = 32;
const DIGEST_BYTES = 32;

/** `managed`: the key is ours, wrapped by the ring. `customer`: it comes with every request. */
export type EncryptionKind = "managed" | "customer";

const KIND_NUMBERS = { managed: 1, customer: 2 } as const satisfies Record<EncryptionKind, number>;
const KINDS: ReadonlyMap<number, EncryptionKind> = new Map([
  [KIND_NUMBERS.managed, "managed"],
  [KIND_NUMBERS.customer, "customer"],
]);

/** What an envelope holds. */
export type EnvelopeSecret = (
  | { readonly kind: "managed"; readonly dataKey: Uint8Array }
  /** `salt` makes the data key out of the customer's; `check` tells whether it is that one. */
  | { readonly kind: "customer"; readonly salt: Uint8Array; readonly check: Uint8Array }
) & {
  /** Digest of the body's sizes; undefined while an upload is not completed. */
  readonly layout: Uint8Array | undefined;
  /** The pieces that a body with appends was encrypted in; without it, its parts, or one piece. */
  readonly pieces?: readonly SealedPiece[];
};

/** Bytes that were encrypted together, under a number that no other part of the object has. */
export type SealedPiece = Pick<PartSummary, "partNumber" | "size">;

/*
 * Encryption envelope of an object or an upload.
 *
 * | bytes | what                                                              |
 * | ----- | ----------------------------------------------------------------- |
 * | 1     | version of this layout, 1                                         |
 * | 1     | kind: 1 the key is ours, 2 the customer's                         |
 * | rest  | sealed secret, with the context "object-encryption:KIND:BUCKET"   |
 */

/*
 * What the sealed secret of an envelope holds.
 *
 * | bytes   | what                                                             |
 * | ------- | ---------------------------------------------------------------- |
 * | 32      | the data key; of a customer's key: the salt that makes it        |
 * | 0 or 32 | only of a customer's key: what tells whether it is the right one |
 * | 0 or 32 | SHA-256 of the sizes; missing while an upload is not completed   |
 * | rest    | only of a body that was appended to: its pieces, as varints:     |
 * |         | number and size of each                                          |
 *
 * The sizes are varints: size of the object, count of parts, and of each part number and size.
 */

/**
 * Seals the key that a body is encrypted with, so that only this cluster can open it, and only for
 * this bucket.
 */
export function sealEnvelope(
  ring: KeyRing,
  secret: EnvelopeSecret,
  bucket: string,
  nonce: Uint8Array,
): EncryptionEnvelope {
  const inner = new ByteWriter();
  if (secret.kind === "managed") inner.bytes(secret.dataKey);
  else inner.bytes(secret.salt).bytes(secret.check);
  if (secret.layout !== undefined) inner.bytes(secret.layout);
  for (const piece of secret.pieces ?? []) inner.varint(piece.partNumber).varint(piece.size);
  const sealed = sealSecret(ring, inner.view(), contextOf(secret.kind, bucket), nonce);
  return new ByteWriter().u8(LAYOUT_VERSION).u8(KIND_NUMBERS[secret.kind]).bytes(sealed).finish();
}

/**
 * Opens an envelope; undefined when it is damaged, of another bucket, or sealed by another ring.
 */
export function openEnvelope(
  ring: KeyRing,
  envelope: EncryptionEnvelope,
  bucket: string,
): EnvelopeSecret | undefined {
  const parts = readEnvelope(envelope);
  if (parts === undefined) return undefined;
  const { kind, sealed } = parts;
  const inner = unsealSecret(ring, sealed, contextOf(kind, bucket));
  if (inner === undefined) return undefined;
  const fixed = kind === "managed" ? SECRET_BYTES : SECRET_BYTES + DIGEST_BYTES;
  const sized = fixed + DIGEST_BYTES;
  if (inner.length !== fixed && inner.length < sized) return undefined;
  const layout = inner.length === fixed ? undefined : inner.subarray(fixed, sized);
  const pieces = inner.length > sized ? { pieces: readPieces(inner.subarray(sized)) } : {};
  const first = inner.subarray(0, SECRET_BYTES);
  return kind === "managed"
    ? { kind, dataKey: first, layout, ...pieces }
    : { kind, salt: first, check: inner.subarray(SECRET_BYTES, fixed), layout, ...pieces };
}

function readPieces(bytes: Uint8Array): SealedPiece[] {
  const reader = new ByteReader(bytes);
  const pieces: SealedPiece[] = [];
  while (reader.remaining > 0) {
    pieces.push({ partNumber: reader.varint(), size: reader.varint() });
  }
  return pieces;
}

/** Id of the ring's key that an envelope is sealed with. */
export function envelopeKeyId(envelope: EncryptionEnvelope): string | undefined {
  const sealed = readEnvelope(envelope)?.sealed;
  return sealed === undefined ? undefined : sealingKeyOf(sealed);
}

/** Whether an envelope of this bucket is sealed as it would be now. */
export function isEnvelopeCurrent(
  ring: KeyRing,
  envelope: EncryptionEnvelope,
  bucket: string,
): boolean {
  const parts = readEnvelope(envelope);
  if (parts === undefined) return false;
  return isSealedWithCurrent(ring, parts.sealed, contextOf(parts.kind, bucket));
}

/** Seals the same secret anew, under the ring's current key, for a bucket. */
export function rewrapEnvelope(
  ring: KeyRing,
  envelope: EncryptionEnvelope,
  buckets: { readonly from: string; readonly to: string },
  nonce: Uint8Array,
): EncryptionEnvelope | undefined {
  const secret = openEnvelope(ring, envelope, buckets.from);
  return secret === undefined ? undefined : sealEnvelope(ring, secret, buckets.to, nonce);
}

/** Digest of the sizes of an object and its parts, so that nothing can be cut off or inserted. */
export function layoutDigest(
  size: number,
  parts: ReadonlyArray<Pick<PartSummary, "partNumber" | "size">>,
): Uint8Array {
  const writer = new ByteWriter(16 + parts.length * 8).varint(size).varint(parts.length);
  for (const part of parts) writer.varint(part.partNumber).varint(part.size);
  return sha256(writer.view());
}

/** The data key that a customer's key makes with this salt (32 random bytes). */
export function customerDataKey(customerKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return new HmacKey(customerKey).bytes(`atoll data key ${Buffer.from(salt).toString("hex")}`);
}

/** A value that tells whether a customer's key is the right one. It decrypts nothing. */
export function customerCheck(customerKey: Uint8Array, salt: Uint8Array): Uint8Array {
  return new HmacKey(customerKey).bytes(`atoll key check ${Buffer.from(salt).toString("hex")}`);
}

function contextOf(kind: EncryptionKind, bucket: string): string {
  return `object-encryption:${kind}:${bucket}`;
}

function readEnvelope(envelope: EncryptionEnvelope) {
  try {
    const reader = new ByteReader(envelope);
    if (reader.u8() !== LAYOUT_VERSION) return undefined;
    const kind = KINDS.get(reader.u8());
    return kind === undefined ? undefined : { kind, sealed: reader.bytes(reader.remaining) };
  } catch (failure) {
    if (failure instanceof LayoutError) return undefined;
    throw failure;
  }
}
