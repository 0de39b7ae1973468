import type { BucketCall, HandlerDeps, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";

/** S3 answers nothing for its first region, and every client knows what that means. */
export function getBucketLocation(_call: BucketCall, deps: HandlerDeps): Reply {
  const { region } = deps.settings;
  return xmlReply(XmlWriter.leaf("LocationConstraint", region === "us-east-1" ? "" : region));
}
