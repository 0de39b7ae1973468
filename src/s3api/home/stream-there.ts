import type {
  ForwardedAnswer,
  ForwardedFlow,
  ForwardedHead,
} from "../../core/forwarded-request.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BodyTarget } from "../body/block-pipe.ts";
import { PUT_PAYLOAD } from "../body/payload.ts";
import { S3Error } from "../errors.ts";
import { payloadOf } from "../handlers/request-body.ts";
import type { BucketCall, HandlerDeps } from "../operation.ts";
import { headOf, keptLines } from "./forward.ts";

/** The header that says that a checksum follows the body, which is framed by aws-chunked then. */
const TRAILER = "x-amz-trailer";

/**
 * Has another site answer a request while its body comes, one piece of it in memory. The body is
 * ended there only when everything that the client claimed of it has been found true here.
 */
export async function streamThere(
  call: BucketCall,
  deps: HandlerDeps,
  open: (head: ForwardedHead) => Promise<ForwardedFlow>,
): Promise<ForwardedAnswer> {
  const payload = payloadOf(call, deps, PUT_PAYLOAD);
  const trailer = call.headers.get(TRAILER)?.trim().toLowerCase();
  const length = String(payload.bytes ?? 0);
  const how: ForwardedHead["headers"] =
    trailer === undefined
      ? [["content-length", length]]
      : [
          [TRAILER, trailer],
          ["x-amz-decoded-content-length", length],
        ];
  const flow = await open(headOf(call, [...keptLines(call), ...how]));
  const pieces = new Pieces(flow, trailer !== undefined);
  try {
    const { checksum } = await payload.pipe(pieces);
    return await pieces.finish(trailer === undefined ? "" : `${trailer}:${checksum.value}`);
  } catch (failure) {
    if (pieces.answer !== undefined) return pieces.answer;
    flow.cut();
    throw failure;
  }
}

/**
 * Cuts a body into pieces that travel one after the other. Invariant: memory holds one piece, and
 * nothing is sent any more once there is an answer.
 */
class Pieces implements BodyTarget {
  /** What the other site answered before it had the whole body. */
  answer: ForwardedAnswer | undefined;
  readonly #flow: ForwardedFlow;
  readonly #isFramed: boolean;
  readonly #piece = Buffer.allocUnsafeSlow(LIMITS.forwardedPieceBytes);
  #filled = 0;

  constructor(flow: ForwardedFlow, isFramed: boolean) {
    this.#flow = flow;
    this.#isFramed = isFramed;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (bytes.length < this.#piece.length - this.#filled) {
      this.#piece.set(bytes, this.#filled);
      this.#filled += bytes.length;
      return undefined;
    }
    return this.#writeAcross(bytes);
  }

  async finish(trailer: string): Promise<ForwardedAnswer> {
    await this.#send();
    // The last chunk, and what follows it: as clients write it.
    if (this.#isFramed) await this.#give(Buffer.from(`0\r\n${trailer}\r\n\r\n`));
    return this.#flow.end();
  }

  async #writeAcross(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const part = rest.subarray(0, this.#piece.length - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.length;
      rest = rest.subarray(part.length);
      if (this.#filled === this.#piece.length) await this.#send();
    }
  }

  async #send(): Promise<void> {
    if (this.#filled === 0) return;
    const bytes = this.#piece.subarray(0, this.#filled);
    this.#filled = 0;
    const head = `${bytes.length.toString(16)}\r\n`;
    await this.#give(
      this.#isFramed ? Buffer.concat([Buffer.from(head), bytes, Buffer.from("\r\n")]) : bytes,
    );
  }

  async #give(bytes: Uint8Array): Promise<void> {
    this.answer = await this.#flow.data(bytes);
    // What is left of the client's body is not asked for: it gets this answer instead.
    if (this.answer !== undefined) throw new S3Error("IncompleteBody");
  }
}
