import type { Random } from "../ports/random.ts";

const PREFIX_BYTES = 4;
const HOST_ID_BYTES = 48;
const COUNTS = 0x1_0000_0000;
const LOW_COUNTS = 0x1000;
const LOW_DIGITS = 3;
const HIGH_DIGITS = 5;
/** The last digits of a count: writing a number out for each request costs more. */
const LOW = Array.from({ length: LOW_COUNTS }, (_, count) => hexOf(count, LOW_DIGITS));

/** Names requests for people who compare a client's error with a server's log. Not secret. */
export class RequestIds {
  /** `x-amz-id-2`: the same for every request of one start of the server. */
  readonly hostId: string;
  readonly #prefix: string;
  #count = 0;
  /** All but the last digits of the id. */
  #front: string;

  constructor(random: Random) {
    this.#prefix = Buffer.from(random.bytes(PREFIX_BYTES)).toString("hex").toUpperCase();
    this.#front = this.#prefix + hexOf(0, HIGH_DIGITS);
    this.hostId = Buffer.from(random.bytes(HOST_ID_BYTES)).toString("base64");
  }

  /** Sixteen upper-case hexadecimal digits: eight of this start, eight that count. */
  next(): string {
    this.#count = (this.#count + 1) % COUNTS;
    const low = this.#count % LOW_COUNTS;
    if (low === 0) this.#front = this.#prefix + hexOf(this.#count / LOW_COUNTS, HIGH_DIGITS);
    return this.#front + LOW[low];
  }
}

function hexOf(count: number, digits: number): string {
  return count.toString(16).toUpperCase().padStart(digits, "0");
}
