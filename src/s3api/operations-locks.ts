import { getObjectLegalHold, putObjectLegalHold } from "./handlers/object-legal-hold.ts";
import { getObjectRetention, putObjectRetention } from "./handlers/object-retention.ts";
import type { OperationRow } from "./operation.ts";

/** What keeps single versions from being deleted. */
export const LOCK_OPERATIONS = {
  GetObjectLegalHold: {
    method: "GET",
    level: "object",
    query: { "legal-hold": "" },
    params: ["versionId"],
    action: "s3:GetObjectLegalHold",
    body: "none",
    handler: getObjectLegalHold,
  },
  GetObjectRetention: {
    method: "GET",
    level: "object",
    query: { retention: "" },
    params: ["versionId"],
    action: "s3:GetObjectRetention",
    body: "none",
    handler: getObjectRetention,
  },
  PutObjectLegalHold: {
    method: "PUT",
    level: "object",
    query: { "legal-hold": "" },
    params: ["versionId"],
    action: "s3:PutObjectLegalHold",
    perKey: true,
    body: "xml",
    handler: putObjectLegalHold,
  },
  PutObjectRetention: {
    method: "PUT",
    level: "object",
    query: { retention: "" },
    params: ["versionId"],
    action: "s3:PutObjectRetention",
    perKey: true,
    body: "xml",
    handler: putObjectRetention,
  },
} as const satisfies Readonly<Record<string, OperationRow>>;
