import type { StorageFaultKind } from "../core/faults.ts";

/** One request to the administration, from the admin socket or from a command. */
export type AdminCall = {
  readonly method: string;
  /** Path alone, percent-encoded. */
  readonly path: string;
  /** Parsed JSON, undefined when there was none. Not yet checked. */
  readonly body: unknown;
};

/** An answer of the administration: a status of HTTP and a JSON object. */
export type AdminAnswer = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
};

/** Answers what is asked at a path, and below it. */
export type AdminRoute = {
  readonly path: string;
  answer(call: AdminCall): AdminAnswer | Promise<AdminAnswer>;
};

/** An answer that says in one sentence what is wrong. */
export function adminProblem(
  status: number,
  message: string,
  kind?: StorageFaultKind,
): AdminAnswer {
  return { status, body: { error: kind === undefined ? { message } : { message, kind } } };
}

/** A part of a path without its escapes; one with a broken escape names nothing. */
export function decodedPart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (failure) {
    if (failure instanceof URIError) return "";
    throw failure;
  }
}
