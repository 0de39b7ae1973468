import { unreachable } from "../../core/assert.ts";
import { laterStamp } from "../../core/lww.ts";
import type { RowName } from "../../core/records.ts";
import { historyOf } from "./apply-conflicts.ts";
import { deletesOf } from "./apply-deletes.ts";
import { nullVersion, sameWrite, versionById, writeIdOf } from "./key-versions.ts";
import { tombstoneOf } from "./version-places.ts";
import type { IndexView } from "./view.ts";

/**
 * Whether removing a row once more would change nothing: neither it nor what goes with it is there,
 * or there again.
 */
export function isRemoved(view: IndexView, row: RowName): boolean {
  const stamp = writeIdOf(row.stamp);
  switch (row.what) {
    case "version":
      return versionById(view, row, stamp) === undefined;
    case "null":
    case "tombstone": {
      const standing = nullVersion(view, row)?.row.stamp ?? tombstoneOf(view, row)?.stamp;
      return standing === undefined || laterStamp(standing, stamp);
    }
    case "voided": {
      const target = writeIdOf(row.target ?? row.stamp);
      if (versionById(view, row, target) !== undefined) return false;
      const deletes = deletesOf(view, row, target)?.deletes ?? [];
      return !deletes.some((one) => sameWrite(one, stamp));
    }
    case "conflict":
      return historyOf(view, row, stamp) === undefined;
  }
  return unreachable(row.what);
}
