import { describe, expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { authorityOf, parsePeerAddress } from "./peer-address.ts";

describe("the address of a peer", () => {
  test.each([
    ["https://paris.example.net:9000", "https://paris.example.net:9000", false],
    ["https://paris", "https://paris:443", false],
    ["http://127.0.0.1", "http://127.0.0.1:80", true],
    ["http://10.0.0.7:9000", "http://10.0.0.7:9000", true],
    ["https://[fd00::17]:9000", "https://[fd00::17]:9000", false],
  ])("%s is taken", (text, origin, insecure) => {
    expect(parsePeerAddress(text)).toEqual({ outcome: "address", origin, insecure });
  });

  test.each([
    ["paris.example.net:9000", "does not begin"],
    ["HTTPS://paris:9000", "does not begin"],
    ["htps://paris:9000", "only https and http"],
    ["ftp://paris:9000", "only https and http"],
    ["https://paris:9000/", "has a path"],
    ["https://paris:9000/v1/repl", "has a path"],
    ["https://paris:9000\\x", "has a path"],
    ["https://paris:9000?x=1", "has a query"],
    ["https://paris:9000#here", "has a fragment"],
    ["https://user:secret@paris:9000", "user name"],
    ["https://paris:9000 ", "white space"],
    ["https://", "names no host"],
    ["https://:9000", "names no host"],
    ["https://paris:0", "0 is no port"],
    ["https://paris:65536", "65536 is no port"],
    ["https://paris:09000", "09000 is no port"],
    ["https://paris:900x", "cannot be told apart"],
    ["https://paris:9000:1", "cannot be told apart"],
    ["https://fd00::17", "cannot be told apart"],
    ["https://[fd00::17", "cannot be told apart"],
    ["https://[::zz]", "no host name"],
    ["https://256.1.1.1:9000", "no host name"],
    ["https://1.2.3:9000", "no host name"],
    ["https://par_is:9000", "no host name"],
    ["https://Paris:9000", "no host name"],
    ["https://-paris:9000", "no host name"],
    ["https://pâris:9000", "no host name"],
  ])("%s is refused, with the reason", (text, reason) => {
    const parsed = parsePeerAddress(text);
    expect(parsed).toMatchObject({ outcome: "bad" });
    expect(parsed.outcome === "bad" && parsed.problem).toContain(reason);
  });

  test("is taken only when the rest of the world reads it the same way", () => {
    const pieces = fc.constantFrom(
      ..."https:// http:// paris 127.0.0.1 [::1] : 9000 / ? # @ . - % \\ 0x7f 1 \t".split(" "),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 6 }), (list) => {
        const parsed = parsePeerAddress(list.join(""));
        if (parsed.outcome === "bad") return;
        const url = new URL(parsed.origin);
        expect(parsePeerAddress(parsed.origin)).toEqual(parsed);
        expect(url).toMatchObject({ pathname: "/", search: "", hash: "", username: "" });
        const port = url.port === "" ? (parsed.insecure ? "80" : "443") : url.port;
        expect(authorityOf(parsed.origin)).toBe(`${url.hostname}:${port}`);
      }),
      { numRuns: 2000 },
    );
  });
});
