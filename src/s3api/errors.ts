import { StorageFault, type StorageFaultKind } from "../core/faults.ts";
import { S3_ERRORS, type S3ErrorCode } from "./error-table.ts";

export { S3_ERRORS, type S3ErrorCode } from "./error-table.ts";

export type S3ErrorDetails = {
  /** Replaces the table's message where AWS words it by the case. Shown to the client. */
  readonly message?: string;
  /** Further elements of the error document, in order ("BucketName", "StringToSign", …). */
  readonly fields?: Readonly<Record<string, string>>;
  /** Further headers of the answer. */
  readonly headers?: ReadonlyArray<readonly [name: string, value: string]>;
  /** What really happened: for the log, never for the client. */
  readonly cause?: unknown;
};

const NO_FIELDS: Readonly<Record<string, string>> = {};

/** A refusal the client can act on. Everything in it but `cause` is shown to the client. */
export class S3Error extends Error {
  override readonly name = "S3Error";
  readonly code: S3ErrorCode;
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly headers: ReadonlyArray<readonly [name: string, value: string]> | undefined;

  constructor(code: S3ErrorCode, details: S3ErrorDetails = {}) {
    super(
      details.message ?? S3_ERRORS[code].message,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.status = S3_ERRORS[code].status;
    this.fields = details.fields ?? NO_FIELDS;
    this.headers = details.headers;
  }
}

/** What a client is told of a fault only the operator can mend; total, so none is forgotten. */
const FAULT_CODES = {
  corrupt: "InternalError",
  "disk-full": "InsufficientCapacity",
  io: "InternalError",
  locked: "InternalError",
  unsupported: "InternalError",
  closed: "SlowDown",
  unreachable: "ServiceUnavailable",
  busy: "SlowDown",
  clock: "ServiceUnavailable",
} as const satisfies Record<StorageFaultKind, S3ErrorCode>;

const CLOCK_JUMPED: S3ErrorDetails = {
  message: "This site does not take writes now, because its clock has jumped.",
  headers: [["Retry-After", "10"]],
};

const BYTES_ELSEWHERE: S3ErrorDetails = {
  message:
    "The bytes of this object stand at another site, and could not be fetched yet. Try again in " +
    "a moment.",
  headers: [["Retry-After", "5"]],
};

/**
 * Turns whatever was thrown into what the client sees. Unknown failures become `InternalError`;
 * what happened stays in `cause`, for the one place that logs.
 */
export function toS3Error(failure: unknown): S3Error {
  if (failure instanceof S3Error) return failure;
  if (failure instanceof StorageFault) {
    // Every write meets it until an operator has looked: the log has said so once.
    if (failure.kind === "clock") return new S3Error("ServiceUnavailable", CLOCK_JUMPED);
    if (failure.kind === "unreachable") {
      return new S3Error("ServiceUnavailable", { ...BYTES_ELSEWHERE, cause: failure });
    }
    return new S3Error(FAULT_CODES[failure.kind], { cause: failure });
  }
  return new S3Error("InternalError", { cause: failure });
}
