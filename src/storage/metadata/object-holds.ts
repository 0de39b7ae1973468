import type { ManifestRef, ObjectRecord } from "../../core/records.ts";
import type { ApplyContext } from "./apply-context.ts";
import type { ObjectRow } from "./object-row.ts";

/** Counts what an object's row rests on: its record, and the bytes or chunks of its body. */
export function holdObject({ references }: ApplyContext, row: ObjectRow): void {
  references.addManifestRefs(manifestsOf(row.object));
  references.addLive(row.home, 1, inlineBytes(row.object));
}

/** Takes back what `holdObject` counted. */
export function releaseObject({ references }: ApplyContext, row: ObjectRow): void {
  references.addLive(row.home, -1, -inlineBytes(row.object));
  references.dropManifestRefs(manifestsOf(row.object));
}

/** Bytes of an object that lie beside its operation. */
function inlineBytes(object: ObjectRecord): number {
  return object.body.kind === "inline" ? object.body.bytes : 0;
}

function manifestsOf(object: ObjectRecord): readonly ManifestRef[] {
  return object.body.kind === "manifests" ? object.body.manifests : [];
}
