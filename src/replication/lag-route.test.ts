import { expect, test } from "vitest";
import { fc } from "../../test/support/properties.ts";
import { type AppliedSet, NO_HOLES } from "../core/applied-set.ts";
import { parseOriginId, parseSeq } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import type { Lag } from "./lag-ledger.ts";
import { askLag, lagRoute } from "./lag-route.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import type { PeerCall } from "./peer-server.ts";
import { parseLag, parseLagRequest, writeLag, writeLagRequest } from "./wire-lag.ts";

const [origin, seq, later] = [parseOriginId("ab".repeat(8)), parseSeq(7), parseSeq(9)];
if (origin === undefined || seq === undefined || later === undefined)
  throw new Error("this is a position");
const APPLIED: AppliedSet = {
  applied: new Map([[origin, seq]]),
  holes: new Map([[origin, { upTo: later, ranges: [[later, later]] }]]),
};
const LAG: Lag = {
  ...{ operations: 3, bytes: 40, oldestMs: 1000 },
  buckets: new Map([["photos", { operations: 2, bytes: 40 }]]),
};
const PARIS = { origins: [origin] } as unknown as MemberSite;

function clientOf(route: ReturnType<typeof lagRoute>): PeerClient {
  return {
    request: async (_peer, { body = Buffer.of() }) => {
      const answer = await route.answer({ peer: PARIS, body } as unknown as PeerCall);
      return { status: answer.status, headers: {}, body: Buffer.from(answer.body) };
    },
  };
}

const problems: string[] = [];
const failed = (problem: string): void => void problems.push(problem);

test("a peer is asked with this site's vector, and leaves this site's origins out", async () => {
  const asked: unknown[] = [];
  const route = lagRoute(async (has, without) => {
    asked.push([has, without]);
    return LAG;
  });
  expect(await askLag(clientOf(route), PARIS, APPLIED, failed)).toEqual(LAG);
  expect(asked).toEqual([[APPLIED, new Set([origin])]]);
});

test("a site without holes asks as programs did that knew of none", () => {
  const body = writeLagRequest({ ...APPLIED, holes: NO_HOLES });
  expect(JSON.parse(body.toString())).toEqual({ applied: [[origin, seq]] });
});

test("a peer that does not know, cannot be reached or talks nonsense says nothing", async () => {
  const silent = lagRoute(async () => undefined);
  expect(await askLag(clientOf(silent), PARIS, APPLIED, failed)).toBeUndefined();
  const gone: PeerClient = { request: () => Promise.reject(new PeerFault("timeout", "late")) };
  expect(await askLag(gone, PARIS, APPLIED, failed)).toBeUndefined();
  const body = Buffer.from('{"operations":-1}');
  const silly: PeerClient = { request: async () => ({ status: 200, headers: {}, body }) };
  expect(problems).toEqual([]);
  expect(await askLag(silly, PARIS, APPLIED, failed)).toBeUndefined();
  expect(problems).toEqual([expect.stringContaining("its answer about lag is none: operations")]);
});

test("whatever else comes is refused", async () => {
  const route = lagRoute(async () => LAG);
  const ask = (text: string) =>
    route.answer({ peer: PARIS, body: Buffer.from(text) } as unknown as PeerCall);
  for (const text of ["", "{}", '{"applied":[["x",1]]}', '{"applied":[],"more":1}']) {
    expect((await ask(text)).status).toBe(400);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(parseLagRequest(bytes).outcome).toBe("bad");
      expect(parseLag(bytes).outcome).toBe("bad");
    }),
  );
  expect(parseLag(writeLag({ ...LAG, oldestMs: undefined }))).toEqual({
    ...{ outcome: "ok", value: { ...LAG, oldestMs: undefined } },
  });
  const strange = writeLag({ ...LAG, buckets: new Map([["..", { operations: 1, bytes: 1 }]]) });
  expect(parseLag(strange).outcome).toBe("bad");
});
