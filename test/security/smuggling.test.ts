import { describe, expect, test } from "vitest";
import { ENGINES } from "./served-site.ts";
import { outcome, signed } from "./site-client.ts";
import { useSite } from "./use-site.ts";
import { bytesOf, Wire } from "./wire.ts";

const BUCKET = "smuggled-bucket";
const BODY = "body";

/** Framings that two parsers could read in two ways; `%` stands where the body begins. */
const FRAMINGS: Readonly<Record<string, string>> = {
  "two lengths": "Content-Length: 4\r\nContent-Length: 0\r\n",
  "two equal lengths": "Content-Length: 4\r\nContent-Length: 4\r\n",
  "a list of lengths": "Content-Length: 4, 4\r\n",
  "a length and chunks": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
  "chunks and a length": "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
  "chunks twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
  "chunks and identity": "Transfer-Encoding: chunked, identity\r\n",
  "identity and chunks": "Transfer-Encoding: identity, chunked\r\n",
  "compressed chunks": "Transfer-Encoding: gzip, chunked\r\n",
  "chunks in capitals": "Transfer-Encoding: CHUNKED\r\n",
  "chunks in quotes": 'Transfer-Encoding: "chunked"\r\n',
  "chunks with a parameter": "Transfer-Encoding: chunked;q=1\r\n",
  "chunks and a comma": "Transfer-Encoding: chunked,\r\n",
  "a space before the colon": "Transfer-Encoding : chunked\r\n",
  "a tab before the colon": "Transfer-Encoding\t: chunked\r\n",
  "a folded coding": "Transfer-Encoding:\r\n chunked\r\n",
  "a folded length": "Content-Length:\r\n 4\r\n",
  "a line that begins with a space": " Transfer-Encoding: chunked\r\n",
  "a vertical tab": "Transfer-Encoding: \x0bchunked\r\n",
  "NUL in the coding": "Transfer-Encoding: chunked\0\r\n",
  "a bare LF": "X: a\nTransfer-Encoding: chunked\r\n",
  "a plus": "Content-Length: +4\r\n",
  "a minus": "Content-Length: -4\r\n",
  "a hexadecimal length": "Content-Length: 0x4\r\n",
  "a length with a point": "Content-Length: 4.0\r\n",
  "a length with a space inside": "Content-Length: 4 4\r\n",
  "a length of 20 digits": "Content-Length: 00000000000000000004\r\n",
  "a length beyond 64 bits": "Content-Length: 18446744073709551620\r\n",
  "an empty length": "Content-Length: \r\n",
  "a length of letters": "Content-Length: four\r\n",
  "an underscore": "Transfer_Encoding: chunked\r\nContent-Length: 4\r\nTransfer-Encoding: x\r\n",
};

/**
 * Answered as the client's mistake, or cut without a word. 505 is what the native engine calls a
 * line that is no HTTP.
 */
const REFUSED = expect.toSatisfy(
  (status: number) => status === 0 || status === 505 || (status >= 400 && status < 500),
);

const CHUNKED_BODIES: Readonly<Record<string, string>> = {
  "a size that is no number": "zz\r\nbody\r\n0\r\n\r\n",
  "a size beyond 64 bits": "10000000000000004\r\nbody\r\n0\r\n\r\n",
  "a negative size": "-4\r\nbody\r\n0\r\n\r\n",
  "a chunk longer than its size": "2\r\nbody\r\n0\r\n\r\n",
  "no size": "\r\nbody\r\n0\r\n\r\n",
};

describe.each(ENGINES)("smuggling on %s", (engine) => {
  const at = useSite(engine, { buckets: [BUCKET] });

  /** A whole, rightly signed request that would store something if anybody took it for one. */
  function hidden(): string {
    const request = signed({ method: "PUT", target: `/${BUCKET}/hidden`, body: "" });
    return bytesOf(request).toString("latin1");
  }

  /** The head of a rightly signed PUT with this framing instead of its own. */
  function headWith(framing: string): string {
    const target = `/${BUCKET}/outer`;
    const request = signed({ method: "PUT", target, mode: "unsigned" });
    const lines = request.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    return `PUT ${target} HTTP/1.1\r\n${lines}${framing}\r\n`;
  }

  async function sendRaw(text: string): Promise<number> {
    const wire = new Wire(at.served.port);
    const answer = await wire.sendBytes(Buffer.from(text, "latin1"));
    wire.close();
    return answer.status;
  }

  test("the request in hiding would be taken if it stood alone, so the tests below mean something", async () => {
    expect(await sendRaw(hidden())).toBe(200);
    const gone = await at.client.send({ method: "DELETE", target: `/${BUCKET}/hidden` });
    expect(outcome(gone)).toBe("204");
  });

  test.each(Object.entries(FRAMINGS))(
    "[S67] [N3] %s: nothing is stored, and what hides behind is no request",
    async (_name, framing) => {
      const before = at.served.rows();
      const count = at.served.site.summaries.length;
      for (const body of [BODY, `4\r\n${BODY}\r\n0\r\n\r\n`, "0\r\n\r\n"]) {
        const status = await sendRaw(headWith(framing) + body + hidden());
        expect([body.slice(0, 8), status]).toEqual([body.slice(0, 8), REFUSED]);
      }
      expect(at.served.rows()).toBe(before);
      const stored = at.served.site.summaries
        .slice(count)
        .filter((summary) => summary.status < 300);
      expect(stored).toEqual([]);
    },
  );

  test.each(Object.entries(CHUNKED_BODIES))(
    "[N3] a chunked body with %s stores nothing",
    async (_name, body) => {
      const before = at.served.rows();
      const status = await sendRaw(headWith("Transfer-Encoding: chunked\r\n") + body + hidden());
      expect(status).toEqual(REFUSED);
      expect(at.served.rows()).toBe(before);
    },
  );

  test("[N4] what follows a body that was too long is not taken for a request", async () => {
    const before = at.served.rows();
    const request = signed({ method: "GET", target: `/${BUCKET}/missing` });
    const garbage = "\0\x01\x02 not http at all\r\n\r\n";
    await sendRaw(bytesOf(request).toString("latin1") + garbage);
    expect(at.served.rows()).toBe(before);
  });

  test("[N5] a refusal comes before a body that waits for 100 Continue is kept", async () => {
    const before = at.served.rows();
    const target = `/${BUCKET}/expected`;
    const request = signed({
      method: "PUT",
      target,
      body: BODY,
      as: { accessKey: "NOBODY123", secret: "x" },
    });
    const headers = [...request.headers, ["expect", "100-continue"] as const];
    const answer = await at.client.sendUnsigned({ ...request, headers });
    expect(outcome(answer)).toBe("403 InvalidAccessKeyId");
    expect(at.served.rows()).toBe(before);
  });

  test.each([
    ["101 headers", Array.from({ length: 101 }, (_, at) => `X-${at}: a\r\n`).join("")],
    ["a header of 40,000 bytes", `X: ${"a".repeat(40_000)}\r\n`],
    ["a name of 40,000 bytes", `${"X".repeat(40_000)}: a\r\n`],
  ])("[N2] %s are refused at once", async (_name, framing) => {
    const status = await sendRaw(headWith(`${framing}Content-Length: 0\r\n`));
    expect([0, 400, 431]).toContain(status);
  });

  test("[N2] a target of 64 KiB is refused", async () => {
    const status = await sendRaw(`GET /${"a".repeat(65_536)} HTTP/1.1\r\nHost: a\r\n\r\n`);
    expect([0, 400, 414, 431]).toContain(status);
  });
});
