import { answerSetting, removeSetting, replaceSetting } from "./handlers/bucket-settings.ts";
import { postObject } from "./handlers/post-object.ts";
import { answerPreflight } from "./handlers/preflight.ts";
import type { OperationRow } from "./operation.ts";
import type { BucketSetting } from "./settings/bucket-setting.ts";
import { CORS } from "./settings/cors.ts";
import { WEBSITE } from "./settings/website.ts";

type Verb = "get" | "put" | "delete";

const METHODS = { get: "GET", put: "PUT", delete: "DELETE" } as const;

/** The row of one of the three operations of a setting. */
function settingRow<Value>(setting: BucketSetting<Value>, verb: Verb): OperationRow {
  const { subresource, actions } = setting;
  const handlers = { get: answerSetting, put: replaceSetting, delete: removeSetting };
  return {
    method: METHODS[verb],
    level: "bucket",
    query: { [subresource]: "" },
    action: `s3:${actions[verb] ?? actions.put}`,
    body: verb === "put" ? "xml" : "none",
    handler: handlers[verb](setting),
  };
}

/**
 * What browsers need: three operations that are let in before anybody knows who sends them, and the
 * settings that open a bucket to pages of other origins or make it a website.
 */
export const OPEN_OPERATIONS = {
  GetBucketCors: settingRow(CORS, "get"),
  PutBucketCors: settingRow(CORS, "put"),
  DeleteBucketCors: settingRow(CORS, "delete"),
  GetBucketWebsite: settingRow(WEBSITE, "get"),
  PutBucketWebsite: settingRow(WEBSITE, "put"),
  DeleteBucketWebsite: settingRow(WEBSITE, "delete"),
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
