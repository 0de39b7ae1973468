import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { planRead } from "./object-access.ts";
import { existingObject } from "./object-version.ts";

export function headObject(call: ObjectCall, deps: HandlerDeps): Reply {
  const plan = planRead(call, existingObject(call, deps));
  if ("kind" in plan) return plan;
  const { status, headers, range } = plan;
  return { kind: "head", status, headers, contentLength: range.end - range.start };
}
