import type { Random } from "../ports/random.ts";

const PREFIX_BYTES = 4;
const HOST_ID_BYTES = 48;
const COUNTS = 0x1_0000_0000;

/** Names requests for people who compare a client's error with a server's log. Not secret. */
export class RequestIds {
  /** `x-amz-id-2`: the same for every request of one start of the server. */
  readonly hostId: string;
  readonly #prefix: string;
  #count = 0;

  constructor(random: Random) {
    this.#prefix = Buffer.from(random.bytes(PREFIX_BYTES)).toString("hex").toUpperCase();
    this.hostId = Buffer.from(random.bytes(HOST_ID_BYTES)).toString("base64");
  }

  /** Sixteen upper-case hexadecimal digits: eight of this start, eight that count. */
  next(): string {
    this.#count = (this.#count + 1) % COUNTS;
    return this.#prefix + this.#count.toString(16).toUpperCase().padStart(8, "0");
  }
}
