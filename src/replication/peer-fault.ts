/**
 * What can go wrong between two sites, told apart by what the operator can do about it.
 *
 * unreachable: no answer, or half of one. timeout: no answer in time. refused: the peer does not
 * accept this site's signature, or refuses this request. untrusted: the answer is not what the peer
 * signed. too-large: the answer is larger than what was asked for.
 */
export type PeerFaultKind = "unreachable" | "timeout" | "refused" | "untrusted" | "too-large";

/** A failure of a request to a peer. `hint` is one sentence that says what to do. */
export class PeerFault extends Error {
  override readonly name = "PeerFault";
  readonly kind: PeerFaultKind;
  readonly hint: string | undefined;
  /**
   * The peer's clock, in Unix milliseconds, when it refused this site because their clocks differ.
   */
  readonly wallMs: number | undefined;
  /** In one word, why the peer refused this site. */
  readonly reason: string | undefined;

  constructor(
    kind: PeerFaultKind,
    message: string,
    options?: { hint?: string; cause?: unknown; wallMs?: number | undefined; reason?: string },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options?.hint;
    this.wallMs = options?.wallMs;
    this.reason = options?.reason;
  }
}

/** Whether a peer says that this site was removed: trying again changes nothing. */
export function saysRemoved(failure: unknown): failure is PeerFault {
  return failure instanceof PeerFault && failure.reason === "removed-site";
}
