import { assert } from "../../core/assert.ts";
import {
  OBJECT_LOCK_SETTING,
  VERSIONING_SETTING,
  versioningOf,
  versioningSetting,
} from "../../core/bucket-versioning.ts";
import { S3Error } from "../errors.ts";
import { childText, requireKnownChildren } from "../xml/reader.ts";
import { bucketSetting } from "./bucket-setting.ts";
import { childWord } from "./schema.ts";

/** AWS's words for the states that a bucket can be put into. */
const STATES = { Enabled: "enabled", Suspended: "suspended" } as const;
type Status = keyof typeof STATES;
const STATUSES: readonly Status[] = ["Enabled", "Suspended"];

/**
 * Whether new versions are kept. Once a bucket has been versioned it can only be suspended.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketVersioning.html
 */
export const VERSIONING = bucketSetting<Status | "never">({
  name: VERSIONING_SETTING,
  subresource: "versioning",
  actions: { get: "GetBucketVersioning", put: "PutBucketVersioning" },
  document: {
    kind: "xml",
    root: "VersioningConfiguration",
    read: (root) => {
      requireKnownChildren(root, ["Status", "MfaDelete"]);
      const mfa = childText(root, "MfaDelete") === "" ? undefined : readMfaDelete(root);
      if (childText(root, "Status")?.trim() === "") throw withoutStatus();
      const state = childWord(root, "Status", STATUSES);
      if (state === undefined) throw withoutStatus();
      // Nobody has a second factor here, so that nobody can prove one.
      if (mfa === "Enabled") {
        throw new S3Error("AccessDenied", {
          message: "Mfa Authentication must be used for this request",
        });
      }
      return state;
    },
    write: (xml, state) => {
      if (state !== "never") xml.text("Status", state);
    },
  },
  // Storage reads it inside each commit.
  stored: {
    encode: (state) => {
      assert(state !== "never", "nobody can ask for a bucket that was never versioned");
      return versioningSetting(STATES[state]);
    },
    decode: (bytes) => {
      const state = versioningOf(bytes);
      const status = STATUSES.find((known) => STATES[known] === state);
      if (status === undefined) throw new Error("no state of versioning");
      return status;
    },
  },
  absent: { value: "never" },
  check: (state, others) => {
    if (state === "Enabled" || !others.has(OBJECT_LOCK_SETTING)) return;
    throw new S3Error("InvalidBucketState", {
      message:
        "An Object Lock configuration is present on this bucket, so the versioning state cannot " +
        "be changed.",
    });
  },
});

function readMfaDelete(root: Parameters<typeof childWord>[0]): "Enabled" | "Disabled" | undefined {
  return childWord(root, "MfaDelete", ["Enabled", "Disabled"]);
}

function withoutStatus(): S3Error {
  return new S3Error("IllegalVersioningConfigurationException", {
    message: "The Versioning element must be specified",
  });
}
