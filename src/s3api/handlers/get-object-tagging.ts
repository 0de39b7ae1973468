import type { HeaderLines } from "../headers/object-headers.ts";
import type { HandlerDeps, ObjectCall, Reply } from "../operation.ts";
import { xmlReply } from "../reply.ts";
import { XmlWriter } from "../xml/writer.ts";
import { existingObject, pushVersionId } from "./object-version.ts";

/** The tags an object was stored with. */
export function getObjectTagging(call: ObjectCall, deps: HandlerDeps): Reply {
  const object = existingObject(call, deps);
  const xml = new XmlWriter("Tagging");
  xml.open("TagSet");
  for (const [key, value] of object.record.attributes.tags) {
    xml.open("Tag");
    xml.text("Key", key);
    xml.text("Value", value);
    xml.close();
  }
  xml.close();
  const headers: HeaderLines = [];
  pushVersionId(headers, call, object);
  return xmlReply(xml.finish(), headers);
}
