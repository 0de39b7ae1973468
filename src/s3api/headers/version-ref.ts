import { parseVersionId, type VersionId } from "../../core/names.ts";
import { S3Error } from "../errors.ts";
import type { Query } from "../target.ts";

/** A version as clients name it; "null" is the one written without versioning. */
export type VersionRef = VersionId | "null";

/**
 * Reads a version id a client sent. Ids are opaque to clients, so that any text but one of ours is
 * refused before anybody looks for it; an id that names nothing is another matter.
 *
 * @param argument what the error document calls the place it came from.
 */
export function parseVersionRef(text: string, argument: string): VersionRef {
  if (text === "null") return text;
  const version = parseVersionId(text);
  if (version !== undefined) return version;
  throw new S3Error("InvalidArgument", {
    message: text === "" ? "Version id cannot be the empty string" : "Invalid version id specified",
    fields: { ArgumentName: argument, ArgumentValue: text },
  });
}

/** The version a request names; undefined means the current one. */
export function versionOf(query: Query): VersionRef | undefined {
  const text = query.get("versionId");
  return text === undefined ? undefined : parseVersionRef(text, "versionId");
}
