import type { ResponseHeaders } from "./exchange.ts";
import { headerBlock, statusText } from "./response-headers.ts";

const STATUS_OF_ENGINE = 200;

/** The part of the native response that a head needs. */
interface HeadSocket {
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
}

/** Writes status and headers of a response; called corked. Hot path. */
export function writeHead(
  response: HeadSocket,
  head: {
    readonly status: number;
    readonly headers: ResponseHeaders;
    readonly closes: boolean;
    /** The length of a body that does not follow: for one that does, the engine writes it. */
    readonly contentLength?: number | undefined;
  },
): void {
  // The engine's own is "200 OK"; every call to it costs as much as all of the header lines.
  if (head.status !== STATUS_OF_ENGINE) response.writeStatus(statusText(head.status));
  const block = headerBlock(head.headers, head.contentLength);
  if (block !== undefined) response.writeHeader(block.name, block.rest);
  if (head.closes) response.writeHeader("Connection", "close");
}
