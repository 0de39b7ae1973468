import type { OperationBody } from "./records.ts";

/**
 * Two days after the end of the year 9999, in Unix milliseconds. S3's dates have years of four
 * digits, and a client that sets a retention may be west of Greenwich.
 */
const DATE_MS_MAX = 253_402_387_200_000;

/**
 * Whether every date in an operation can be written as S3 writes dates. An answer that lists what
 * one member has dated where no calendar reaches would fail as a whole, at every site.
 */
export function hasWritableDates(body: OperationBody): boolean {
  return lastDateOf(body) <= DATE_MS_MAX;
}

function lastDateOf(body: OperationBody): number {
  switch (body.kind) {
    case "object-put": {
      const { lastModifiedMs, lock } = body.object;
      return Math.max(lastModifiedMs, lock?.retention?.untilMs ?? 0);
    }
    case "object-delete":
    case "bucket-delete":
      return body.deletedMs;
    case "bucket-create":
      return body.createdMs;
    case "access-key-put":
      return body.accessKey.createdMs;
    case "object-meta":
      return body.change.kind === "retention" ? (body.change.retention?.untilMs ?? 0) : 0;
    default:
      return 0;
  }
}
