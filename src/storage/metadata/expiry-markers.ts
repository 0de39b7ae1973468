import { parseOriginId } from "../../core/names.ts";
import { required } from "../../core/tagged-fields.ts";
import type { ApplyContext } from "./apply-context.ts";
import { addVersion } from "./apply-versions.ts";
import { type KeyName, versionKeyOf, type WriteId } from "./key-versions.ts";
import { TABLES } from "./rows.ts";
import { removeVersion } from "./version-places.ts";
import type { MarkerRow } from "./version-rows.ts";

const GREATEST = required(parseOriginId("f".repeat(16)), "origin");
const LEAST = required(parseOriginId("0".repeat(16)), "origin");

/**
 * Puts the delete marker of an expired version right on top of it. Every site carries lifecycles
 * out, so that several may come: of these the one of the least origin stays, and when that has
 * been deleted, none.
 */
export function addExpiryMarker(context: ApplyContext, name: KeyName, row: MarkerRow): void {
  const { view } = context;
  const [from, to] = placesAt(name, row.stamp);
  const { origin } = row.stamp;
  const twins = view.rows(TABLES.version, from, to).map((twin) => twin.row);
  const before = versionKeyOf(name, row.stamp);
  // Ids stand inverted: what comes behind has a lesser origin.
  const isDeleted = view.rows(TABLES.voided, from, to).some(({ key }) => key > before);
  if (isDeleted || twins.some((twin) => twin.row.stamp.origin < origin)) return;
  for (const twin of twins) {
    if (twin.row.stamp.origin === origin || twin.kind !== "marker") continue;
    removeVersion(context, name, { ...twin, current: false });
  }
  addVersion(context, name, { kind: "marker", row });
}

/** Keys of all versions of one reading of the clock. */
function placesAt(name: KeyName, { hlc }: WriteId): readonly [string, string] {
  const first = versionKeyOf(name, { hlc, origin: GREATEST });
  return [first, `${versionKeyOf(name, { hlc, origin: LEAST })}~`];
}
