import { ByteWriter } from "../core/bytes.ts";
import { effectiveVector, NOTHING_SEEN } from "../core/causality.ts";
import { type Hlc, hlcMs, parseHlc } from "../core/hlc.ts";
import { encodeHomeSite, HOME_SETTING, parseHomeSite } from "../core/home-site.ts";
import type { VersionId } from "../core/names.ts";
import { makeVersionId, type OriginId, parseSeq, SEQ_ZERO, type Seq } from "../core/names.ts";
import { encodeOperation, operationChain } from "../core/operation-codec.ts";
import type { Operation, OperationBody, Vector, WriteStamp } from "../core/records.ts";
import type { Hash } from "../ports/hash.ts";
import type { Withdrawn } from "./withdrawn.ts";

export type ReissueDeps = {
  /** The incarnation that issues the operations again. */
  readonly into: OriginId;
  readonly withdrawn: readonly Withdrawn[];
  /** Issues the times; undefined when operations keep theirs. */
  readonly nextHlc: (() => Hlc) | undefined;
  readonly hash: Pick<Hash, "digest">;
};

type Issued = { readonly hlc: Hlc; readonly seq: Seq };

/**
 * Writes withdrawn operations anew, as those of another incarnation: what they say of the object,
 * the bucket or the key stays, and what they say of each other names the new ones. They state what
 * their origin had received when they were made, so that what is concurrent with them remains so.
 */
export class ReissuedOperations {
  readonly #deps: ReissueDeps;
  readonly #issued = new Map<VersionId, Issued>();
  /** Delete markers that do not stand at the time of their operation, by the id they had. */
  readonly #markers = new Map<VersionId, Hlc>();
  /** What each of the origins had received at its last operation. */
  readonly #vectors = new Map<OriginId, Vector>();
  #seq = SEQ_ZERO;
  #chain: Uint8Array = new Uint8Array(32);

  constructor(deps: ReissueDeps) {
    this.#deps = deps;
    for (const { origin, before } of deps.withdrawn) {
      this.#vectors.set(origin, before?.vector ?? NOTHING_SEEN);
    }
  }

  /** Takes note of an operation that is not issued again. */
  pass({ dot, vector }: Operation): void {
    const running = this.#vectors.get(dot.origin) ?? NOTHING_SEEN;
    this.#vectors.set(dot.origin, effectiveVector(running, vector));
  }

  /** The next operation, encoded. Call in the order of the log. */
  next(operation: Operation): Uint8Array {
    const { into, hash, nextHlc } = this.#deps;
    this.pass(operation);
    const { origin } = operation.dot;
    const seq = parseSeq(this.#seq + 1) ?? this.#seq;
    const hlc = nextHlc?.() ?? operation.hlc;
    const entries = this.#known(this.#vectors.get(origin) ?? NOTHING_SEEN, origin);
    const body = this.#body(operation, hlc);
    this.#issued.set(makeVersionId(operation.hlc, origin), { hlc, seq });
    this.#seq = seq;
    const dot = { origin: into, seq };
    const vector = { full: true, entries };
    const writer = new ByteWriter();
    encodeOperation(writer, { ...operation, dot, hlc, chainBefore: this.#chain, vector, body });
    const encoded = writer.finish();
    this.#chain = operationChain((bytes) => hash.digest("SHA256", bytes), encoded);
    return encoded;
  }

  /** What the origin knew of others, and of itself as far as that counts. */
  #known(vector: Vector, origin: OriginId): Vector {
    const known = new Map(vector);
    for (const one of this.#deps.withdrawn) {
      const limit = parseSeq(one.from - 1) ?? SEQ_ZERO;
      const upTo = one.origin === origin ? limit : Math.min(limit, known.get(one.origin) ?? 0);
      known.delete(one.origin);
      const seq = parseSeq(upTo);
      if (seq !== undefined && seq > 0) known.set(one.origin, seq);
    }
    return known;
  }

  #body(operation: Operation, hlc: Hlc): OperationBody {
    const body = this.#named(operation);
    return this.#deps.nextHlc === undefined ? body : dated(body, hlcMs(hlc));
  }

  /** The body, naming what it names as it is called now. */
  #named({ body, dot }: Operation): OperationBody {
    switch (body.kind) {
      case "object-put":
        return body.prior === undefined ? body : { ...body, prior: this.#stamp(body.prior) };
      case "object-delete": {
        const prior = body.prior && this.#stamp(body.prior);
        // One that is said again is another site's, or as old.
        if (body.nullSlot || body.standsAt === undefined) return { ...body, prior };
        const standsAt = this.#standsAt(body.standsAt, dot.origin);
        return { ...body, prior, standsAt };
      }
      case "version-delete":
      case "object-meta":
        return { ...body, version: this.#version(body.version) };
      case "conflict-resolve":
        return { ...body, write: this.#stamp(body.write) };
      case "bucket-setting":
        return body.name === HOME_SETTING ? { ...body, value: this.#home(body.value) } : body;
      case "bucket-create":
      case "bucket-delete":
      case "access-key-put":
      case "site-put":
        return body;
    }
  }

  #stamp(stamp: WriteStamp): WriteStamp {
    const issued = this.#issued.get(makeVersionId(stamp.hlc, stamp.origin));
    return issued === undefined ? stamp : { origin: this.#deps.into, ...issued };
  }

  #version(version: VersionId): VersionId {
    const hlc = this.#markers.get(version) ?? this.#issued.get(version)?.hlc;
    return hlc === undefined ? version : makeVersionId(hlc, this.#deps.into);
  }

  /** The marker of an expired version stands right above it, and moves with it. */
  #standsAt(standsAt: Hlc, origin: OriginId): Hlc {
    const expired = parseHlc(standsAt - 1n);
    let above = standsAt;
    for (const one of this.#deps.withdrawn) {
      const issued = expired && this.#issued.get(makeVersionId(expired, one.origin));
      if (issued !== undefined) above = parseHlc(issued.hlc + 1n) ?? standsAt;
    }
    this.#markers.set(makeVersionId(standsAt, origin), above);
    return above;
  }

  /** A bucket's home waits for what was known where it was named. */
  #home(value: Uint8Array | undefined): Uint8Array | undefined {
    const home = value && parseHomeSite(value);
    if (home === undefined) return value;
    const after = new Map(home.after);
    for (const { origin, from } of this.#deps.withdrawn) {
      const seq = after.get(origin);
      if (seq === undefined || seq < from) continue;
      after.delete(origin);
      const left = parseSeq(from - 1);
      if (left !== undefined && left > 0) after.set(origin, left);
      if (this.#seq > 0) after.set(this.#deps.into, this.#seq);
    }
    return encodeHomeSite({ ...home, after });
  }
}

/** The body, dated no later than the operation. */
function dated(body: OperationBody, ms: number): OperationBody {
  switch (body.kind) {
    case "object-put": {
      const { object } = body;
      return {
        ...body,
        object: { ...object, lastModifiedMs: Math.min(object.lastModifiedMs, ms) },
      };
    }
    case "object-delete":
    case "bucket-delete":
      return { ...body, deletedMs: Math.min(body.deletedMs, ms) };
    case "bucket-create":
      return { ...body, createdMs: Math.min(body.createdMs, ms) };
    case "access-key-put": {
      const { accessKey } = body;
      return { ...body, accessKey: { ...accessKey, createdMs: Math.min(accessKey.createdMs, ms) } };
    }
    default:
      return body;
  }
}
