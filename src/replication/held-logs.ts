import type { OriginId } from "../core/names.ts";
import type { LogicalRows } from "../storage/logical-rows.ts";
import type { Replica } from "../storage/replica.ts";

/** Logs whose operations wait while rows are taken over. */
export type HeldLogs = "all" | ReadonlySet<OriginId>;

/**
 * Which logs wait now; undefined while no rows are taken over. A site that merges rows of one which
 * joined goes on with every log that it has as far as the rows do, for these stand for nothing that
 * this log has still to bring. Operations that the rows stand for never come by their log.
 */
export function heldLogs(
  { holdsLogs }: { readonly holdsLogs: boolean },
  rows: Pick<LogicalRows, "bootstrap">,
  replica: Pick<Replica, "received">,
): HeldLogs | undefined {
  if (!holdsLogs) return undefined;
  const bootstrap = rows.bootstrap();
  // Until its first step is stored, nobody knows how far the rows go.
  if (bootstrap?.merges !== true) return "all";
  const received = replica.received();
  const behind = bootstrap.heads.filter(({ origin, seq }) => {
    return (received.get(origin)?.seq ?? 0) < seq;
  });
  return new Set(behind.map(({ origin }) => origin));
}
