import { unreachable } from "../../core/assert.ts";
import { Gathered, Slab } from "../../core/bytes.ts";
import { LIMITS } from "../../core/limits.ts";
import type { ChecksumAlgorithm } from "../../core/records.ts";
import type { BodySink, Exchange, RequestHeaders } from "../../http/exchange.ts";
import type { Hash } from "../../ports/hash.ts";
import type { PayloadClaim } from "../auth/payload-claim.ts";
import { S3Error } from "../errors.ts";
import { AwsChunkedDecoder, malformedTrailer } from "./aws-chunked.ts";
import { BlockPipe, type BodyTarget } from "./block-pipe.ts";
import { DEFAULT_CHECKSUM } from "./checksums.ts";
import { ChunkVerifier } from "./chunk-signatures.ts";
import { type IntegrityClaim, readIntegrityClaim } from "./integrity-claim.ts";
import {
  algorithmsFor,
  checksumOf,
  digestStreamed,
  type Expectations,
  judgeWhole,
  type PayloadDigests,
} from "./payload-digests.ts";

export type PayloadSource = {
  readonly exchange: Exchange;
  /** Headers, and what a presigned URL moved from them into its query. */
  readonly headers: RequestHeaders;
  /** What the verified signature says about the body. */
  readonly claim: PayloadClaim;
  /** Told of every piece that arrives, in bytes as they came. */
  readonly received?: (bytes: number) => void;
};

export type PayloadSettings = {
  /** More is refused before anything is read, with EntityTooLarge. */
  readonly bytesMax: number;
  /** Less is refused at the end, with EntityTooSmall. */
  readonly bytesMin?: number;
  /** Checksum to compute when the client sends none; CRC64NVME otherwise. */
  readonly algorithm?: ChecksumAlgorithm;
  /** Computed beside the one that the client sends, by `pipe`. */
  readonly also?: ChecksumAlgorithm;
  /** A body without announced length is taken as empty, or read up to `bytesMax` if chunked. */
  readonly lengthOptional?: boolean;
};

/**
 * The body of a request, not yet read. It is read once, by one of the two ways; both resolve only
 * when everything the client claimed has been found true: lengths, signatures, digests, trailer.
 */
export type Payload = {
  /** Decoded length; undefined only with `lengthOptional` and a chunked transfer. */
  readonly bytes: number | undefined;
  readonly claim: IntegrityClaim;
  /** Of the checksum that will be computed. */
  readonly algorithm: ChecksumAlgorithm;
  /** The whole body in memory; for bodies up to `bytesMax`, else EntityTooLarge. */
  readAll(bytesMax: number): Promise<{ readonly bytes: Buffer; readonly digests: PayloadDigests }>;
  /**
   * Hands the body to the target as it arrives, at the target's pace. After a rejection the target
   * holds a part of it, which must be thrown away.
   */
  pipe(target: BodyTarget): Promise<PayloadDigests>;
};

/** Prepares to read a body. Throws at once for what cannot turn out right. */
export function openPayload(source: PayloadSource, hash: Hash, settings: PayloadSettings): Payload {
  const { headers, claim: body } = source;
  const claim = readIntegrityClaim(headers);
  const bytes = announcedBytes(body, headers, settings.lengthOptional === true);
  if (bytes !== undefined && bytes > settings.bytesMax) throw tooLarge(bytes, settings.bytesMax);
  const algorithm = claim.checksum?.algorithm ?? settings.algorithm ?? DEFAULT_CHECKSUM;
  const sha256 = body.kind === "signed" ? body.sha256 : undefined;
  const reading: Reading = {
    source,
    hash,
    bytes,
    expected: { claim, sha256, algorithm },
    also: settings.also === algorithm ? undefined : settings.also,
    decoding: chunkedFormat(body, claim),
    bytesMin: settings.bytesMin ?? 0,
  };
  return {
    bytes,
    claim,
    algorithm,
    readAll: (bytesMax) => readAll(reading, Math.min(bytesMax, settings.bytesMax)),
    pipe: (target) => pipe(reading, target, settings.bytesMax),
  };
}

type Decoding =
  | { readonly kind: "plain" }
  | {
      readonly kind: "chunked";
      readonly trailerName: string | undefined;
      readonly chain: Extract<PayloadClaim, { kind: "streaming-signed" }> | undefined;
    };

type Reading = {
  readonly source: PayloadSource;
  readonly hash: Hash;
  readonly bytes: number | undefined;
  readonly expected: Expectations;
  readonly also: ChecksumAlgorithm | undefined;
  readonly decoding: Decoding;
  readonly bytesMin: number;
};

function isChunked(body: PayloadClaim): boolean {
  return body.kind === "streaming-signed" || body.kind === "streaming-unsigned-trailer";
}

/** Length of the decoded body, from the header that says so in this kind of request. */
function announcedBytes(
  body: PayloadClaim,
  headers: RequestHeaders,
  lengthOptional: boolean,
): number | undefined {
  if (isChunked(body)) {
    const bytes = lengthOf(headers.get("x-amz-decoded-content-length") ?? "");
    // As at AWS, one that says nothing is none.
    if (bytes === undefined) throw new S3Error("MissingContentLength");
    return bytes;
  }
  const text = headers.get("content-length");
  if (text === undefined) {
    if (!lengthOptional) throw new S3Error("MissingContentLength");
    return headers.get("transfer-encoding") === undefined ? 0 : undefined;
  }
  const bytes = lengthOf(text);
  if (bytes !== undefined) return bytes;
  throw new S3Error("InvalidArgument", {
    message: "The value of content-length is not a length.",
    fields: { ArgumentName: "content-length", ArgumentValue: text },
  });
}

function lengthOf(text: string): number | undefined {
  return text.length <= 15 && /^\d+$/.test(text) ? Number(text) : undefined;
}

function chunkedFormat(body: PayloadClaim, claim: IntegrityClaim): Decoding {
  const { checksum } = claim;
  const announced = checksum !== undefined && checksum.value === undefined;
  const trailerName = announced ? `x-amz-checksum-${checksum.algorithm.toLowerCase()}` : undefined;
  switch (body.kind) {
    case "signed":
    case "unsigned":
      if (announced) throw trailerMismatch("is not possible with this x-amz-content-sha256");
      return { kind: "plain" };
    case "streaming-unsigned-trailer":
      // As at AWS, a body may do without the trailer that this form is named after.
      return { kind: "chunked", trailerName, chain: undefined };
    case "streaming-signed":
      if (announced && !body.trailer) {
        throw trailerMismatch("is not possible with this x-amz-content-sha256");
      }
      if (!announced && body.trailer) throw malformedTrailer("was not announced by x-amz-trailer");
      return { kind: "chunked", trailerName, chain: body };
  }
  return unreachable(body);
}

function trailerMismatch(detail: string): S3Error {
  return new S3Error("InvalidRequest", { message: `The x-amz-trailer header ${detail}.` });
}

function tooLarge(bytes: number, bytesMax: number): S3Error {
  return new S3Error("EntityTooLarge", {
    fields: { ProposedSize: String(bytes), MaxSizeAllowed: String(bytesMax) },
  });
}

function tooSmall(bytes: number, bytesMin: number): S3Error {
  return new S3Error("EntityTooSmall", {
    fields: { ProposedSize: String(bytes), MinSizeAllowed: String(bytesMin) },
  });
}

/** Small bodies live until their commit, a few milliseconds. */
const slab = new Slab();

const NO_BYTES = Buffer.alloc(0);

/** Where decoded bytes go; counts them, so that no mode can exceed what was announced. */
class Intake {
  readonly #reading: Reading;
  readonly #bytesMax: number;
  readonly #emit: (data: Uint8Array) => void;
  readonly #decoder: AwsChunkedDecoder | undefined;
  #bytes = 0;

  constructor(reading: Reading, bytesMax: number, emit: (data: Uint8Array) => void) {
    this.#reading = reading;
    this.#bytesMax = bytesMax;
    this.#emit = emit;
    const { decoding, hash, bytes } = reading;
    if (decoding.kind === "plain") return;
    const { chain, trailerName } = decoding;
    const verifier = chain === undefined ? undefined : new ChunkVerifier(chain, hash);
    const format = { decodedBytes: bytes ?? 0, trailerName, verifier };
    this.#decoder = new AwsChunkedDecoder(format, (data) => this.#take(data));
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(wire: Uint8Array): void {
    this.#reading.source.received?.(wire.length);
    if (this.#decoder === undefined) this.#take(wire);
    else this.#decoder.push(wire);
  }

  /** Ends the body; returns the trailer's value. */
  finish(): string | undefined {
    const { bytes, bytesMin } = this.#reading;
    if (bytes !== undefined && bytes !== this.#bytes) throw new S3Error("IncompleteBody");
    if (this.#bytes < bytesMin) throw tooSmall(this.#bytes, bytesMin);
    return this.#decoder?.finish();
  }

  #take(data: Uint8Array): void {
    this.#bytes += data.length;
    const { bytes } = this.#reading;
    if (bytes !== undefined && this.#bytes > bytes) throw new S3Error("IncompleteBody");
    if (this.#bytes > this.#bytesMax) throw tooLarge(this.#bytes, this.#bytesMax);
    this.#emit(data);
  }
}

async function readAll(
  reading: Reading,
  bytesMax: number,
): Promise<{ readonly bytes: Buffer; readonly digests: PayloadDigests }> {
  if (reading.bytes !== undefined && reading.bytes > bytesMax) {
    throw tooLarge(reading.bytes, bytesMax);
  }
  // Memory follows what has arrived, never what was announced.
  let first: Buffer | undefined;
  let gathered: Gathered | undefined;
  const intake = new Intake(reading, bytesMax, (data) => {
    if (first === undefined) {
      first = slab.copy(data);
      return;
    }
    if (gathered === undefined) {
      gathered = new Gathered();
      gathered.push(first);
    }
    gathered.push(data);
  });
  const trailer = await receive(reading.source.exchange, intake);
  const bytes = gathered?.take() ?? first ?? NO_BYTES;
  const { hash, expected } = reading;
  const computed = await hash.digests(algorithmsFor(expected), bytes);
  return { bytes, digests: judgeWhole(computed, bytes.length, expected, trailer) };
}

/** Feeds the whole body to the intake; resolves with the trailer's value. */
function receive(exchange: Exchange, intake: Intake): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    exchange.receive(new IntakeSink(intake, resolve, reject));
  });
}

/** Invariant: after a failure nothing more reaches the intake. */
class IntakeSink implements BodySink {
  readonly #intake: Intake;
  readonly #resolve: (trailer: string | undefined) => void;
  readonly #reject: (failure: unknown) => void;
  #failed = false;

  constructor(
    intake: Intake,
    resolve: (trailer: string | undefined) => void,
    reject: (failure: unknown) => void,
  ) {
    this.#intake = intake;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  data(wire: Uint8Array): void {
    if (this.#failed) return;
    try {
      this.#intake.push(wire);
    } catch (failure) {
      this.#fail(failure);
    }
  }

  end(): void {
    if (this.#failed) return;
    try {
      this.#resolve(this.#intake.finish());
    } catch (failure) {
      this.#fail(failure);
    }
  }

  abort(): void {
    this.#fail(new S3Error("IncompleteBody"));
  }

  #fail(failure: unknown): void {
    this.#failed = true;
    this.#reject(failure);
  }
}

async function pipe(
  reading: Reading,
  target: BodyTarget,
  bytesMax: number,
): Promise<PayloadDigests> {
  const { also, expected } = reading;
  const { exchange } = reading.source;
  const needed = algorithmsFor(expected);
  const hasher = reading.hash.startStream(also === undefined ? needed : [...needed, also]);
  const writer = target.hashWith?.(hasher);
  const blocks = new BlockPipe({ exchange, target, hasher: writer ?? hasher });
  const intake = new Intake(reading, bytesMax, (data) => blocks.append(data));
  try {
    const received = receive(exchange, intake);
    const trailer = await Promise.race([received, blocks.failed]);
    await blocks.finish();
    writer?.end();
    const digests = await hasher.digest();
    const judged = digestStreamed(digests, intake.bytes, expected, trailer);
    return also === undefined ? judged : { ...judged, also: checksumOf(digests, also) };
  } catch (failure) {
    await blocks.abort();
    hasher.abort();
    throw failure;
  }
}

/** The most that one PUT or one part may carry. */
export const PUT_PAYLOAD = { bytesMax: LIMITS.putBytesMax } as const satisfies PayloadSettings;
