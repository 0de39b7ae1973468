/** Whether overwrites and deletes of a bucket's objects keep what was there before. */
export type Versioning = "unversioned" | "enabled" | "suspended";

/** Name of the bucket setting that `versioningOf` reads. */
export const VERSIONING_SETTING = "versioning";
/** Name of the bucket setting whose presence means that object lock is on, for ever. */
export const OBJECT_LOCK_SETTING = "object-lock";

const STATES: ReadonlyArray<Versioning | undefined> = [undefined, "enabled", "suspended"];

/** Reads the setting: one byte, 1 enabled, 2 suspended. A bucket without it never had versions. */
export function versioningOf(setting: Uint8Array | undefined): Versioning {
  return (setting?.length === 1 ? STATES[setting[0] ?? 0] : undefined) ?? "unversioned";
}

/** The value of the setting for a state that a bucket can be put into. */
export function versioningSetting(state: "enabled" | "suspended"): Uint8Array {
  return Buffer.of(STATES.indexOf(state));
}
