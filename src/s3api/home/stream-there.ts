import type {
  ForwardedAnswer,
  ForwardedFlow,
  ForwardedHead,
} from "../../core/forwarded-request.ts";
import { ignore } from "../../core/ignore.ts";
import { LIMITS } from "../../core/limits.ts";
import type { BodyTarget } from "../body/block-pipe.ts";
import { PUT_PAYLOAD } from "../body/payload.ts";
import { S3Error } from "../errors.ts";
import { payloadOf } from "../handlers/request-body.ts";
import type { HandlerDeps, HomeVisit } from "../operation.ts";
import { headOf, keptLines } from "./forward.ts";

/** The header that says that a checksum follows the body, which is framed by aws-chunked then. */
const TRAILER = "x-amz-trailer";

/**
 * Has another site answer a request while its body arrives, with two pieces of it in memory. The
 * body is ended there only when everything that the client claimed about it has been verified here.
 */
export async function streamThere(
  call: HomeVisit["call"],
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

/** Room in front of a piece for its size in hexadecimal and a line end. */
const HEAD_BYTES = 16;
const LINE_END = "\r\n";

/**
 * Cuts a body into pieces, one of which is sent while the next one fills. Invariant: memory holds
 * these two, they are sent in order, and nothing more is sent once there is an answer.
 */
class Pieces implements BodyTarget {
  /** What the other site answered before it had the whole body. */
  answer: ForwardedAnswer | undefined;
  readonly #flow: ForwardedFlow;
  readonly #isFramed: boolean;
  #filling = newPiece();
  #resting = newPiece();
  #filled = 0;
  #travelling: Promise<void> = Promise.resolve();

  constructor(flow: ForwardedFlow, isFramed: boolean) {
    this.#flow = flow;
    this.#isFramed = isFramed;
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (bytes.length < LIMITS.forwardedPieceBytes - this.#filled) {
      this.#fill(bytes);
      return undefined;
    }
    return this.#writeAcross(bytes);
  }

  async finish(trailer: string): Promise<ForwardedAnswer> {
    if (this.#filled > 0) await this.#send();
    await this.#travelling;
    // The last chunk, and what follows it: as clients write it.
    const end = ["0", trailer, "", ""].join(LINE_END);
    if (this.#isFramed) await this.#give(Buffer.from(end));
    return this.#flow.end();
  }

  async #writeAcross(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0; ) {
      const part = rest.subarray(0, LIMITS.forwardedPieceBytes - this.#filled);
      this.#fill(part);
      rest = rest.subarray(part.length);
      if (this.#filled === LIMITS.forwardedPieceBytes) await this.#send();
    }
  }

  #fill(bytes: Uint8Array): void {
    this.#filling.set(bytes, HEAD_BYTES + this.#filled);
    this.#filled += bytes.length;
  }

  /** Sends the filled piece, once the one before it has arrived. */
  async #send(): Promise<void> {
    await this.#travelling;
    const piece = this.#filling;
    const end = HEAD_BYTES + this.#filled;
    let [from, to] = [HEAD_BYTES, end];
    if (this.#isFramed) {
      const head = `${this.#filled.toString(16)}${LINE_END}`;
      from -= piece.write(head, HEAD_BYTES - head.length, "latin1");
      to += piece.write(LINE_END, end, "latin1");
    }
    this.#filling = this.#resting;
    this.#resting = piece;
    this.#filled = 0;
    this.#travelling = this.#give(piece.subarray(from, to));
    // Whoever waits for it next hears of a failure.
    this.#travelling.catch(ignore);
  }

  async #give(bytes: Uint8Array): Promise<void> {
    this.answer = await this.#flow.data(bytes);
    // The rest of the client's body is not needed: the client gets this answer instead.
    if (this.answer !== undefined) throw new S3Error("IncompleteBody");
  }
}

function newPiece(): Buffer {
  return Buffer.allocUnsafeSlow(HEAD_BYTES + LIMITS.forwardedPieceBytes + LINE_END.length);
}
