import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { credentialOf, openS3Site, type S3Site } from "../../../test/support/s3-site.ts";
import { parseHlc } from "../../core/hlc.ts";
import {
  type OriginId,
  parseBucketName,
  parseObjectKey,
  parseOriginId,
  parseSeq,
  type Seq,
} from "../../core/names.ts";
import { formatWriteToken, parseWriteToken, type WriteToken } from "../../core/write-token.ts";

const applied = new Map<OriginId, Seq>();
const listeners = new Set<() => void>();
let site: S3Site;

beforeAll(async () => {
  site = await openS3Site({
    applied: {
      applied: () => applied,
      onCommit: (listener) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    },
  });
  await site.ask({ method: "PUT", path: "/photos" });
});
afterAll(() => site.close());

function foreignToken(seq: number): WriteToken {
  const parts = [parseOriginId("feedfeedfeedfeed"), parseSeq(seq), parseHlc(1n)] as const;
  const [origin, position, hlc] = parts;
  if (origin === undefined || position === undefined || hlc === undefined) {
    throw new Error("these are parts of a token");
  }
  return { origin, seq: position, hlc };
}

function tokenOf(headers: Readonly<Record<string, string>>): WriteToken {
  const token = parseWriteToken(headers["x-atoll-token"] ?? "");
  if (token === undefined) throw new Error("an answer has no token");
  return token;
}

describe("the token of a write", () => {
  test("grows with every write and is that of the log", async () => {
    let before = -1;
    for (const [method, path] of [
      ["PUT", "/photos/cat"],
      ["PUT", "/photos/cat?tagging"],
      ["DELETE", "/photos/cat"],
      ["DELETE", "/photos/cat"],
    ] as const) {
      const body = path.endsWith("tagging")
        ? "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
        : "x";
      const answer = await site.ask({ method, path, body: method === "PUT" ? body : "" });
      expect(answer.status).toBeLessThan(300);
      const token = tokenOf(answer.headers);
      expect(token).toMatchObject({ origin: site.store.logHead()?.origin });
      expect(token.seq).toBeGreaterThan(before);
      before = token.seq - (method === "DELETE" ? 1 : 0);
    }
  });

  test("covers a write that shares its batch with others", async () => {
    const puts = Array.from({ length: 20 }, (_, at) =>
      site.ask({ method: "PUT", path: `/photos/many-${at}`, body: "x" }),
    );
    const tokens = (await Promise.all(puts)).map(({ headers }) => tokenOf(headers));
    const versions = tokens.map(({ hlc }) => hlc);
    for (const [at, hlc] of versions.entries()) {
      const stored = site.store.object(...nameOf(`many-${at}`));
      expect(stored !== undefined && stored.hlc <= hlc).toBe(true);
    }
  });

  test("is not on reads and refusals", async () => {
    await site.ask({ method: "PUT", path: "/photos/dog", body: "x" });
    for (const request of [
      { method: "GET", path: "/photos/dog" },
      { method: "HEAD", path: "/photos/dog" },
      { method: "PUT", path: "/photos/dog", headers: { "If-None-Match": "*" }, body: "y" },
      { method: "PUT", path: "/nowhere/dog", body: "y" },
    ]) {
      const answer = await site.ask(request);
      expect(answer.headers["x-atoll-token"]).toBeUndefined();
    }
  });
});

function nameOf(key: string): Parameters<S3Site["store"]["object"]> {
  const name = [parseBucketName("photos"), parseObjectKey(key)] as const;
  if (name[0] === undefined || name[1] === undefined) throw new Error(`${key} is no key`);
  return [name[0], name[1]];
}

describe("a request after a write of another site", () => {
  const showing = (token: WriteToken, wait?: number) => ({
    "x-atoll-after": formatWriteToken(token),
    ...(wait === undefined ? {} : { "x-atoll-wait": String(wait) }),
  });

  test("is answered with 503 while that write is not here, and nothing is done", async () => {
    const headers = showing(foreignToken(9));
    const answer = await site.ask({ method: "PUT", path: "/photos/late", headers, body: "x" });
    expect([answer.status, answer.headers["retry-after"]]).toEqual([503, "1"]);
    expect(String(answer.body)).toContain("<Code>ServiceUnavailable</Code>");
    expect((await site.ask({ method: "HEAD", path: "/photos/late" })).status).toBe(404);
  });

  test("waits for it, reads and writes alike, and is judged as things are then", async () => {
    const headers = showing(foreignToken(9), 60_000);
    await site.ask({ method: "PUT", path: "/photos/bird", body: "old" });
    const read = site.ask({ method: "GET", path: "/photos/bird", headers });
    const write = site.ask({
      ...{ method: "PUT", path: "/photos/bird" },
      ...{ headers: { ...headers, "If-None-Match": "*" }, body: "newer" },
    });
    while (listeners.size === 0) await new Promise((resolve) => setImmediate(resolve));
    await site.ask({ method: "DELETE", path: "/photos/bird" });
    for (const { origin, seq } of [foreignToken(9)]) applied.set(origin, seq);
    for (const listener of listeners) listener();
    expect([(await read).status, (await write).status]).toEqual([404, 200]);
    expect(listeners.size).toBe(0);
  });

  test("goes on at once when it is here already", async () => {
    const answer = await site.ask({
      ...{ method: "GET", path: "/photos/bird", headers: showing(foreignToken(3)) },
    });
    expect(String(answer.body)).toBe("newer");
  });

  test.each([
    { "x-atoll-after": "yesterday" },
    { ...showing(foreignToken(3)), "x-atoll-wait": "1h" },
  ])("is refused when it says %j", async (headers) => {
    const answer = await site.ask({ method: "GET", path: "/photos/bird", headers });
    expect(answer.status).toBe(400);
    expect(String(answer.body)).toContain("<Code>InvalidArgument</Code>");
  });

  test("must be signed rightly before it may wait", async () => {
    const stranger = { ...credentialOf("ROOTKEY1", { kind: "root" }), secret: "guessed" };
    const headers = showing(foreignToken(99), 60_000);
    const answer = await site.ask({ method: "GET", path: "/photos/bird", headers, as: stranger });
    expect(answer.status).toBe(403);
    expect(listeners.size).toBe(0);
  });
});
