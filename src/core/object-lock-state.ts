import { type ByteReader, type ByteWriter, LayoutError } from "./bytes.ts";
import type { FieldReader } from "./tagged-fields.ts";

/**
 * Until when (Unix milliseconds) a version may not be deleted, and whether anybody may do so
 * earlier.
 */
export type Retention = {
  readonly mode: "GOVERNANCE" | "COMPLIANCE";
  readonly untilMs: number;
};

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html */
export type ObjectLock = {
  readonly retention: Retention | undefined;
  readonly legalHold: boolean;
};

/*
 * Retention: mode (u8: 0 none, 1 governance, 2 compliance), then, unless the mode is 0, until when
 * in Unix milliseconds (varint). Lock: legal hold (u8, 0 or 1), then the retention.
 */
const MODES: ReadonlyArray<Retention["mode"] | undefined> = [undefined, "GOVERNANCE", "COMPLIANCE"];

/** Writes a retention, or that there is none. */
export function writeRetention(writer: ByteWriter, retention: Retention | undefined): void {
  writer.u8(MODES.indexOf(retention?.mode));
  if (retention !== undefined) writer.varint(retention.untilMs);
}

/** Reads a retention. An unknown mode throws LayoutError: it must not be taken for a weaker one. */
export function readRetention(reader: ByteReader): Retention | undefined {
  const number = reader.u8();
  if (number === 0) return undefined;
  const mode = MODES[number];
  if (mode === undefined) throw new LayoutError(`unknown mode of retention: ${number}`);
  return { mode, untilMs: reader.varint() };
}

/** Writes the lock of a version. */
export function writeLock(writer: ByteWriter, lock: ObjectLock): void {
  writer.u8(lock.legalHold ? 1 : 0);
  writeRetention(writer, lock.retention);
}

/** Reads the lock that fills a field. Throws LayoutError when it is not one. */
export function readLock({ reader }: FieldReader): ObjectLock {
  const held = reader.u8();
  if (held > 1) throw new LayoutError("a legal hold is on or off");
  return { legalHold: held === 1, retention: readRetention(reader) };
}

/**
 * Whether a version may not be deleted or overwritten at a time (Unix milliseconds). A time that is
 * not a number keeps it.
 *
 * @param bypass whether the caller may bypass governance mode, and wants to.
 */
export function isLocked(lock: ObjectLock | undefined, nowMs: number, bypass: boolean): boolean {
  if (lock === undefined) return false;
  if (lock.legalHold) return true;
  const { retention } = lock;
  if (retention === undefined || nowMs >= retention.untilMs) return false;
  return retention.mode === "COMPLIANCE" || !bypass;
}

/**
 * Whether a retention may take the place of another at a time (Unix milliseconds): compliance is
 * never shortened or weakened while it lasts, governance only by who may bypass it.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
 */
export function mayRetain(
  before: Retention | undefined,
  after: Retention | undefined,
  nowMs: number,
  bypass: boolean,
): boolean {
  if (before === undefined || nowMs >= before.untilMs) return true;
  if (before.mode === "GOVERNANCE" && bypass) return true;
  return after?.mode === before.mode && after.untilMs >= before.untilMs;
}
