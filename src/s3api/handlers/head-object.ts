import { pushEncryption } from "../encryption/body-encryption.ts";
import { decryptionOfRead } from "../encryption/object-bytes.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { planRead, wantedPart } from "./object-access.ts";
import { pushTerms } from "./object-terms.ts";
import { existingObject } from "./object-version.ts";
import { markRemote } from "./remote-body.ts";

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html */
export function headObject(call: ObjectCall, deps: HandlerDeps): Reply {
  const partNumber = wantedPart(call);
  const object = existingObject(call, deps);
  const decryption = decryptionOfRead(call, deps, object);
  const plan = planRead(call, deps, object, partNumber);
  if ("kind" in plan) return plan;
  pushEncryption(plan.headers, decryption);
  pushTerms(plan.headers, call, object);
  const { status, headers, range } = plan;
  markRemote(headers, deps, object);
  return { kind: "head", status, headers, contentLength: range.end - range.start };
}
