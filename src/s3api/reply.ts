import type { HeaderLines } from "./headers/object-headers.ts";
import type { Reply } from "./operation.ts";

/** An answer that is its status and headers. */
export function emptyReply(status: number, headers: HeaderLines = []): Reply {
  return { kind: "whole", status, headers, body: undefined };
}

/** An XML document with status 200. */
export function xmlReply(body: string | Uint8Array, headers: HeaderLines = []): Reply {
  headers.push(["Content-Type", "application/xml"]);
  return { kind: "whole", status: 200, headers, body };
}
