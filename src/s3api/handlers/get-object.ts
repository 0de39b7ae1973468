import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { planRead } from "./object-access.ts";
import { existingObject } from "./object-version.ts";

/** Small and warm bodies are answered without a promise; this is the hot path of reads. */
export function getObject(call: ObjectCall, deps: HandlerDeps): Reply {
  const object = existingObject(call, deps);
  const plan = planRead(call, object);
  if ("kind" in plan) return plan;
  const { status, headers, range } = plan;
  const contentLength = range.end - range.start;
  if (contentLength === 0) return { kind: "whole", status, headers, body: undefined };
  const body = deps.store.readSmallBody(object, range);
  if (body !== undefined) return { kind: "whole", status, headers, body };
  const reader = deps.store.openBody(object, range);
  return { kind: "stream", status, headers, contentLength, reader };
}
