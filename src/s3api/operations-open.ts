import { postObject } from "./handlers/post-object.ts";
import { answerPreflight } from "./handlers/preflight.ts";
import type { OperationRow } from "./operation.ts";

/** Operations of browsers, which are let in before anybody knows who sends them. */
export const OPEN_OPERATIONS = {
  OptionsBucket: {
    method: "OPTIONS",
    level: "bucket",
    action: "s3:GetBucketCORS",
    body: "none",
    open: answerPreflight,
    note: "never signed, and no policy is asked",
  },
  OptionsObject: {
    method: "OPTIONS",
    level: "object",
    action: "s3:GetBucketCORS",
    body: "none",
    open: answerPreflight,
    note: "never signed, and no policy is asked",
  },
  PostObject: {
    method: "POST",
    level: "bucket",
    action: "s3:PutObject",
    body: "stream",
    open: postObject,
    note: "a form; signed by signature version 4 in its fields, or by nobody",
  },
} as const satisfies Readonly<Record<string, OperationRow>>;
