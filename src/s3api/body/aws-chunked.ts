import { unreachable } from "../../core/assert.ts";
import { asBuffer } from "../../core/bytes.ts";
import { LIMITS } from "../../core/limits.ts";
import { S3Error } from "../errors.ts";
import type { ChunkVerifier } from "./chunk-signatures.ts";

/**
 * The aws-chunked coding of a body:
 *
 * chunk   := size [";chunk-signature=" 64 hex] CRLF data CRLF      (size in hexadecimal)
 * last    := "0" [";chunk-signature=" 64 hex] CRLF
 * trailer := *(name ":" value [LF] CRLF) ["x-amz-trailer-signature:" 64 hex CRLF]
 * body    := *chunk last [trailer] CRLF
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html, whose examples end
 * trailer lines with LF CR LF; some clients do the same.
 */
export type ChunkedFormat = {
  /** Decoded length as announced; the body must have exactly this. */
  readonly decodedBytes: number;
  /** Lower-case name of the one trailer that must come; undefined when none may. */
  readonly trailerName: string | undefined;
  /** Undefined for chunks without signatures. */
  readonly verifier: ChunkVerifier | undefined;
};

type State = "size" | "data" | "data-end" | "trailer" | "end" | "done";

const CR = 0x0d;
const LF = 0x0a;
/** AWS: only the last chunk may be smaller. */
const CHUNK_BYTES_MIN = 8192;
const SIZE = /^[0-9a-fA-F]{1,13}$/;
const SIGNATURE_EXTENSION = "chunk-signature=";
const TRAILER_SIGNATURE = "x-amz-trailer-signature";

/**
 * Takes an aws-chunked body apart as it arrives, cut anywhere. Memory is bounded by one header or
 * trailer line: data is handed on at once, before its chunk's signature is known, so nothing may
 * count before `finish` has returned.
 */
export class AwsChunkedDecoder {
  readonly #format: ChunkedFormat;
  readonly #emit: (data: Buffer) => void;
  #state: State = "size";
  #line = "";
  #chunkBytesLeft = 0;
  #lastChunkBytes = CHUNK_BYTES_MIN;
  #decodedBytes = 0;
  #trailerValue: string | undefined;
  #trailerBytes = 0;
  #trailerSigned = false;

  /** @param emit receives decoded data in order; the memory is only valid during the call. */
  constructor(format: ChunkedFormat, emit: (data: Buffer) => void) {
    this.#format = format;
    this.#emit = emit;
  }

  /** Takes the next piece of the body. Throws the S3Error that refuses it. */
  push(bytes: Uint8Array): void {
    const input = asBuffer(bytes);
    let at = 0;
    while (at < input.length) {
      switch (this.#state) {
        case "data":
          at = this.#takeData(input, at);
          break;
        case "size":
        case "data-end":
        case "trailer":
        case "end":
          at = this.#takeLine(input, at);
          break;
        case "done":
          throw framing("There are bytes after the final chunk.");
        default:
          unreachable(this.#state);
      }
    }
  }

  /** Ends the body. Returns the value of the trailer, if there had to be one. */
  finish(): string | undefined {
    if (this.#state !== "done" || this.#decodedBytes !== this.#format.decodedBytes) {
      throw new S3Error("IncompleteBody");
    }
    return this.#trailerValue;
  }

  #takeData(input: Buffer, at: number): number {
    const end = Math.min(input.length, at + this.#chunkBytesLeft);
    const data = input.subarray(at, end);
    this.#chunkBytesLeft -= data.length;
    if (this.#chunkBytesLeft === 0) this.#state = "data-end";
    this.#format.verifier?.update(data);
    this.#emit(data);
    return end;
  }

  /** Lines end with CR LF; a line may be cut anywhere, even between the two. */
  #takeLine(input: Buffer, at: number): number {
    const lf = input.indexOf(LF, at);
    const end = lf < 0 ? input.length : lf + 1;
    const linesMax =
      this.#state === "trailer" ? LIMITS.awsTrailerBytesMax : LIMITS.awsChunkHeaderBytesMax;
    if (this.#line.length + (end - at) > linesMax) {
      if (this.#state === "trailer") throw malformedTrailer("is too long");
      throw framing("A chunk header is too long.");
    }
    this.#line += input.toString("latin1", at, end);
    if (lf < 0) return end;
    const { length } = this.#line;
    if (length < 2 || this.#line.charCodeAt(length - 2) !== CR) return end;
    const line = this.#line.slice(0, length - 2);
    this.#line = "";
    this.#takeWholeLine(line);
    return end;
  }

  #takeWholeLine(line: string): void {
    switch (this.#state) {
      case "size":
        this.#openChunk(line);
        return;
      case "data-end":
        if (line !== "") throw framing("A chunk is longer than its header says.");
        this.#format.verifier?.closeChunk();
        this.#state = "size";
        return;
      case "trailer":
        this.#takeTrailerLine(line);
        return;
      case "end":
        if (line !== "") throw malformedTrailer("was not announced by x-amz-trailer");
        this.#state = "done";
        return;
      case "data":
      case "done":
        return;
    }
    unreachable(this.#state);
  }

  #openChunk(line: string): void {
    const semicolon = line.indexOf(";");
    const sizeText = semicolon < 0 ? line : line.slice(0, semicolon);
    if (!SIZE.test(sizeText)) throw framing("A chunk header is malformed.");
    const bytes = Number.parseInt(sizeText, 16);
    const extension = semicolon < 0 ? undefined : line.slice(semicolon + 1);
    this.#checkChunkSize(bytes);
    this.#openSignature(extension);
    this.#chunkBytesLeft = bytes;
    this.#lastChunkBytes = bytes;
    this.#decodedBytes += bytes;
    if (bytes > 0) {
      this.#state = "data";
      return;
    }
    this.#format.verifier?.closeChunk();
    this.#state = this.#format.trailerName === undefined ? "end" : "trailer";
  }

  #checkChunkSize(bytes: number): void {
    if (this.#decodedBytes + bytes > this.#format.decodedBytes) {
      throw new S3Error("IncompleteBody", {
        message: "The body is longer than x-amz-decoded-content-length says",
      });
    }
    if (bytes > 0 && this.#lastChunkBytes < CHUNK_BYTES_MIN) {
      throw new S3Error("InvalidChunkSizeError");
    }
    // What is not signed needs no bound: it is not held back for a signature either.
    if (this.#format.verifier !== undefined && bytes > LIMITS.awsChunkBytesMax) {
      throw new S3Error("InvalidChunkSizeError", {
        message: `A signed chunk has at most ${LIMITS.awsChunkBytesMax} bytes`,
      });
    }
  }

  #openSignature(extension: string | undefined): void {
    const { verifier } = this.#format;
    if (verifier === undefined) {
      if (extension !== undefined) throw framing("This chunk must not have an extension.");
      return;
    }
    if (extension === undefined || !extension.startsWith(SIGNATURE_EXTENSION)) {
      throw new S3Error("SignatureDoesNotMatch", { message: "A chunk has no signature." });
    }
    verifier.openChunk(extension.slice(SIGNATURE_EXTENSION.length));
  }

  #takeTrailerLine(line: string): void {
    this.#trailerBytes += line.length + 2;
    if (this.#trailerBytes > LIMITS.awsTrailerBytesMax) throw malformedTrailer("is too long");
    if (line === "") {
      this.#closeTrailer();
      return;
    }
    if (this.#trailerSigned) throw malformedTrailer("goes on after its signature");
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (name === TRAILER_SIGNATURE) {
      this.#takeTrailerSignature(value);
      return;
    }
    if (name !== this.#format.trailerName || this.#trailerValue !== undefined) {
      throw malformedTrailer("is not what the x-amz-trailer header announced");
    }
    this.#trailerValue = value;
  }

  #takeTrailerSignature(signature: string): void {
    const { verifier, trailerName } = this.#format;
    if (verifier === undefined) throw malformedTrailer("must not be signed");
    if (this.#trailerValue === undefined) throw malformedTrailer("has no value");
    verifier.checkTrailer(`${trailerName}:${this.#trailerValue}\n`, signature);
    this.#trailerSigned = true;
  }

  #closeTrailer(): void {
    if (this.#trailerValue === undefined) throw malformedTrailer("has no value");
    if (this.#format.verifier !== undefined && !this.#trailerSigned) {
      throw new S3Error("SignatureDoesNotMatch", { message: "The trailer has no signature." });
    }
    this.#state = "done";
  }
}

/** AWS says of a body that is not coded as it should be that it ended too early. */
function framing(message: string): S3Error {
  return new S3Error("IncompleteBody", { message });
}

/** Refuses a trailer, or the absence of one. */
export function malformedTrailer(detail: string): S3Error {
  return new S3Error("MalformedTrailerError", { message: `The trailer ${detail}.` });
}
