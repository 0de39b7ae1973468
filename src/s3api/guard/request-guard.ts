import { LIMITS } from "../../core/limits.ts";
import type { Exchange } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import { type Seat, Seats } from "./seats.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** What one address and one key may do; 0 is without limit. */
export type GuardSettings = {
  /** Requests under way at once. */
  readonly requestsPerAddress: number;
  readonly requestsPerKey: number;
  /** Failed authentications within a minute. */
  readonly failuresPerAddress: number;
  readonly failuresPerKey: number;
};

export const NO_GUARD: GuardSettings = {
  requestsPerAddress: 0,
  requestsPerKey: 0,
  failuresPerAddress: 0,
  failuresPerKey: 0,
};

/** What a request holds while it is under way. */
export interface Seating {
  /** Counts an authenticated request under its key, or refuses it with SlowDown. Hot path. */
  signedBy(accessKey: string): void;
  /** Remembers a failure that may have been a guess; all others cost nothing. */
  failed(failure: unknown): void;
  /** Gives back what the request held; called once. Hot path. */
  leave(): void;
}

const REFILL_MS = 60_000;
/** Answers that a guess of a secret or of a key's name gets. */
const FAILURES: ReadonlySet<string> = new Set(["SignatureDoesNotMatch", "InvalidAccessKeyId"]);
const CLAIMED_KEY = /Credential=([^/,]{1,128})[/,]/;
const CLAIMED_KEY_IN_QUERY = /[?&]X-Amz-Credential=([^/%&]{1,128})/;

const AT_HOME: Seating = {
  signedBy: () => undefined,
  failed: () => undefined,
  leave: () => undefined,
};

/**
 * Keeps one client from using up what all share, and from guessing secrets at full speed.
 *
 * Callers on this machine are not limited, since a proxy may call for everyone. A key that somebody
 * guesses at stays usable from every address that has not failed itself, so nobody can lock the key
 * of another.
 */
export class RequestGuard {
  readonly #addresses: Seats;
  readonly #keys: Seats;
  readonly #addressFailures: TokenBuckets;
  readonly #keyFailures: TokenBuckets;
  readonly #nowMs: () => number;

  /** @param nowMs a clock that never goes back. */
  constructor(settings: GuardSettings, nowMs: () => number) {
    const { requestsPerAddress, requestsPerKey, failuresPerAddress, failuresPerKey } = settings;
    const bounds = { refillMs: REFILL_MS, entriesMax: LIMITS.failureEntriesMax };
    this.#addresses = new Seats(requestsPerAddress);
    this.#keys = new Seats(requestsPerKey);
    this.#addressFailures = new TokenBuckets({ burst: failuresPerAddress, ...bounds });
    this.#keyFailures = new TokenBuckets({ burst: failuresPerKey, ...bounds });
    this.#nowMs = nowMs;
  }

  /** Lets a request in, or refuses it with SlowDown before anything of it is read. Hot path. */
  admit(exchange: Exchange): Seating {
    const { remoteAddress } = exchange;
    if (isThisMachine(remoteAddress)) return AT_HOME;
    const address = addressGroup(remoteAddress);
    if (this.#addressFailures.size > 0) this.#requireTrust(exchange, address);
    const addressSeat = this.#addresses.take(address);
    if (addressSeat === undefined) throw slowDown(1000);
    return new GuestSeating(this, address, addressSeat);
  }

  /** A seat for one more request of a key. */
  takeKeySeat(accessKey: string): Seat {
    const seat = this.#keys.take(accessKey);
    if (seat === undefined) throw slowDown(1000);
    return seat;
  }

  leave(addressSeat: Seat, keySeat: Seat | undefined): void {
    this.#addresses.leave(addressSeat);
    if (keySeat !== undefined) this.#keys.leave(keySeat);
  }

  /** Counts a guess against an address, and against the key whose secret was guessed. */
  guessed(address: string, failure: S3Error): void {
    const nowMs = this.#nowMs();
    this.#addressFailures.take(address, nowMs);
    const key = failure.fields["AWSAccessKeyId"];
    // Names of keys that do not exist would only displace those of keys that do.
    if (failure.code === "SignatureDoesNotMatch" && key !== undefined) {
      this.#keyFailures.take(key, nowMs);
    }
  }

  #requireTrust(exchange: Exchange, address: string): void {
    const nowMs = this.#nowMs();
    if (this.#addressFailures.isExhausted(address, nowMs)) {
      throw slowDown(this.#addressFailures.waitMs(address, nowMs));
    }
    if (this.#keyFailures.size === 0 || this.#addressFailures.isClean(address, nowMs)) return;
    const key = claimedKey(exchange);
    if (key !== undefined && this.#keyFailures.isExhausted(key, nowMs)) {
      throw slowDown(this.#keyFailures.waitMs(key, nowMs));
    }
  }
}

/** A request from elsewhere. Invariant: its seats are left exactly once. */
class GuestSeating implements Seating {
  readonly #guard: RequestGuard;
  readonly #address: string;
  readonly #addressSeat: Seat;
  #keySeat: Seat | undefined;

  constructor(guard: RequestGuard, address: string, addressSeat: Seat) {
    this.#guard = guard;
    this.#address = address;
    this.#addressSeat = addressSeat;
  }

  signedBy(accessKey: string): void {
    this.#keySeat = this.#guard.takeKeySeat(accessKey);
  }

  failed(failure: unknown): void {
    // After the signature of the head has been accepted there is nothing left to guess.
    if (this.#keySeat !== undefined || !(failure instanceof S3Error)) return;
    if (FAILURES.has(failure.code)) this.#guard.guessed(this.#address, failure);
  }

  leave(): void {
    this.#guard.leave(this.#addressSeat, this.#keySeat);
  }
}

function isThisMachine(address: string): boolean {
  return address === "127.0.0.1" || address === "::1" || address === "";
}

/** An IPv4 address, or the 64 bits of an IPv6 address that one customer usually has. */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  const [head = [], tail] = address.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const zeros = tail === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [
    ...head,
    ...Array.from({ length: Math.max(0, zeros) }, () => "0"),
    ...(tail ?? []),
  ];
  return groups.slice(0, 4).join(":");
}

function claimedKey(exchange: Exchange): string | undefined {
  const authorization = exchange.headers.get("authorization");
  return authorization === undefined
    ? CLAIMED_KEY_IN_QUERY.exec(exchange.target)?.[1]
    : CLAIMED_KEY.exec(authorization)?.[1];
}

/** SlowDown with the time after which it is worth trying again. */
export function slowDown(waitMs: number): S3Error {
  const seconds = Math.max(1, Math.ceil(waitMs / 1000));
  return new S3Error("SlowDown", { headers: [["Retry-After", String(seconds)]] });
}
