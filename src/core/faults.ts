/**
 * What can go wrong below the S3 surface, told apart by what the operator can do about it.
 *
 * corrupt: stored bytes do not verify. disk-full: the reserve is reached. io: a system call failed.
 * locked: another process holds the data directory. unsupported: a format, file system or setting
 * this program refuses. closed: the store is shutting down or has stopped itself. unreachable: a
 * server that should answer does not. busy: a bounded resource is used up; try again. clock: this
 * site's clock cannot be believed.
 */
export type StorageFaultKind =
  | "corrupt"
  | "disk-full"
  | "io"
  | "locked"
  | "unsupported"
  | "closed"
  | "unreachable"
  | "busy"
  | "clock";

/** A failure the operator can act on. `hint` is one sentence that says what to do. */
export class StorageFault extends Error {
  override readonly name = "StorageFault";
  readonly kind: StorageFaultKind;
  readonly hint: string | undefined;

  constructor(
    kind: StorageFaultKind,
    message: string,
    options?: { hint?: string; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options?.hint;
  }
}

/** The `code` of a failed system call ("ENOENT"), or undefined for any other failure. */
export function errnoOf(failure: unknown): string | undefined {
  if (!(failure instanceof Error) || !("code" in failure)) return undefined;
  return typeof failure.code === "string" ? failure.code : undefined;
}
