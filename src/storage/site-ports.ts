import type { Hash } from "../ports/hash.ts";
import type { OpenKv } from "../ports/kv.ts";
import type { DataDirDeps } from "./data-dir.ts";

/** Everything outside our control that a site is built on. */
export type SitePorts = DataDirDeps & {
  readonly hash: Hash;
  readonly openKv: OpenKv;
  /** Runs the callback after what has arrived in this turn of the event loop. */
  readonly defer: (callback: () => void) => void;
};
