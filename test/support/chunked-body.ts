import { createHash, createHmac } from "node:crypto";

/** Writes aws-chunked bodies as a client would, knowing nothing of the server's code. */
export type ChunkedBody = {
  readonly pieces: readonly Uint8Array[];
  /** Undefined: chunks without signatures. */
  readonly chain?: {
    readonly seed: string;
    readonly key: Uint8Array;
    readonly scope: string;
    readonly date: string;
  };
  readonly trailer?: { readonly name: string; readonly value: string };
};

export function signingKeyOf(secret: string, scope: string): Buffer {
  const [date = "", region = "", service = "", end = ""] = scope.split("/");
  let key: Uint8Array = Buffer.from(`AWS4${secret}`);
  for (const part of [date, region, service, end]) {
    key = createHmac("sha256", key).update(part).digest();
  }
  return Buffer.from(key);
}

function sha256(data: Uint8Array | string): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Parts of the body: each chunk with its header, then the end with the trailer. */
export function chunkedParts(body: ChunkedBody): Buffer[] {
  const { chain, trailer } = body;
  let previous = chain?.seed ?? "";
  const sign = (kind: string, covered: string): string => {
    if (chain === undefined) return "";
    const text = [`AWS4-HMAC-SHA256-${kind}`, chain.date, chain.scope, previous, covered];
    previous = createHmac("sha256", chain.key).update(text.join("\n")).digest("hex");
    return previous;
  };
  const chunk = (data: Uint8Array): Buffer => {
    const signature = sign("PAYLOAD", `${sha256("")}\n${sha256(data)}`);
    const extension = chain === undefined ? "" : `;chunk-signature=${signature}`;
    const header = Buffer.from(`${data.length.toString(16)}${extension}\r\n`);
    return Buffer.concat([header, data, Buffer.from(data.length === 0 ? "" : "\r\n")]);
  };
  const parts = body.pieces.map(chunk);
  let end = chunk(new Uint8Array(0)).toString("latin1");
  if (trailer !== undefined) {
    end += `${trailer.name}:${trailer.value}\r\n`;
    const signature = sign("TRAILER", sha256(`${trailer.name}:${trailer.value}\n`));
    if (chain !== undefined) end += `x-amz-trailer-signature:${signature}\r\n`;
  }
  return [...parts, Buffer.from(`${end}\r\n`, "latin1")];
}
