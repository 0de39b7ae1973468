import type { OperationBody, Vector } from "../../core/records.ts";
import type { ReferenceCounts } from "./references.ts";
import type { Stamp } from "./stamp.ts";
import type { IndexView } from "./view.ts";

/**
 * What turns records of the log into rows works on. The commit, the replay after a crash and the
 * rebuild all go the same way, so that they cannot disagree about what a record means.
 */
export type ApplyContext = {
  readonly view: IndexView;
  readonly references: ReferenceCounts;
  /** What the origin of the operation at hand had received of others; undefined: nothing. */
  readonly causal?: Vector | undefined;
};

/** Where a record stands: its commit-lane segment, and its inline body when it has one. */
export type RecordPlace = {
  readonly home: number;
  readonly body: { segment: number; offset: number };
};

/** One operation to be applied. */
export type Input<Kind extends OperationBody["kind"]> = {
  readonly stamp: Stamp;
  readonly place: RecordPlace;
  readonly body: Extract<OperationBody, { kind: Kind }>;
};
