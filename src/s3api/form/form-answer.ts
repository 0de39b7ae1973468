import type { Exchange } from "../../http/exchange.ts";
import type { HeaderLines } from "../headers/object-headers.ts";
import type { Reply } from "../operation.ts";
import { XmlWriter } from "../xml/writer.ts";
import type { FormValues } from "./form-fields.ts";

export type PostedObject = {
  readonly exchange: Pick<Exchange, "headers" | "secure" | "target">;
  readonly bucket: string;
  readonly key: string;
  readonly values: FormValues;
};

/**
 * The answer a form asks for: a redirect, or a status, of which only 201 has a document. The
 * headers of the PUT's answer are kept.
 */
export function postReply(stored: Reply, posted: PostedObject): Reply {
  const { values, bucket, key } = posted;
  const headers: HeaderLines = [...stored.headers];
  const etag = headers.find(([name]) => name === "ETag")?.[1] ?? "";
  const wanted = values.get("success_action_redirect") ?? values.get("redirect");
  const redirect = redirectTo(wanted, { bucket, key, etag });
  if (redirect !== undefined) {
    headers.push(["Location", redirect]);
    return { kind: "whole", status: 303, headers, body: undefined };
  }
  const location = locationOf(posted);
  headers.push(["Location", location]);
  const status = values.get("success_action_status");
  if (status !== "201") {
    return { kind: "whole", status: status === "200" ? 200 : 204, headers, body: undefined };
  }
  const xml = new XmlWriter("PostResponse", { bare: true });
  xml.text("Location", location);
  xml.text("Bucket", bucket);
  xml.text("Key", key);
  xml.text("ETag", etag);
  headers.push(["Content-Type", "application/xml"]);
  return { kind: "whole", status: 201, headers, body: xml.finish() };
}

/** As AWS does, ignores a URL that cannot be interpreted. */
function redirectTo(
  wanted: string | undefined,
  { bucket, key, etag }: { readonly bucket: string; readonly key: string; readonly etag: string },
): string | undefined {
  const url = wanted?.trim() ?? "";
  if (!/^https?:\/\/[^/?#]/i.test(url) || !URL.canParse(url)) return undefined;
  const query = new URLSearchParams([
    ["bucket", bucket],
    ["key", key],
    ["etag", etag],
  ]);
  const [page = "", ...fragment] = url.split("#");
  const joined = `${page}${page.includes("?") ? "&" : "?"}${query}`;
  return [joined, ...fragment].join("#").replace(/[^\x21-\x7e]/gu, encodeURIComponent);
}

/** Where the object is for who can reach this server as the form did. */
function locationOf({ exchange, bucket, key }: PostedObject): string {
  const scheme = exchange.secure ? "https" : "http";
  const host = exchange.headers.get("host") ?? "";
  const path = exchange.target.split("?", 1)[0];
  const place = path === "/" ? host : `${host}/${bucket}`;
  return `${scheme}://${place}/${encodeURIComponent(key)}`;
}
