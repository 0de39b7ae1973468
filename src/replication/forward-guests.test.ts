import { expect, test } from "vitest";
import { Seed } from "../../test/sim/seed.ts";
import { SimClock } from "../../test/sim/sim-clock.ts";
import { createSimRandom } from "../../test/sim/sim-random.ts";
import { fc } from "../../test/support/properties.ts";
import type { ForwardedAnswer, ForwardedFlow, ForwardedHead } from "../core/forwarded-request.ts";
import { LIMITS } from "../core/limits.ts";
import {
  parseBucketName,
  parseContentHash,
  parseObjectKey,
  parseSiteId,
  parseUploadId,
} from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { openFlow } from "./forward-flow.ts";
import { ForwardGuests } from "./forward-guests.ts";
import type { PeerClient } from "./peer-client.ts";
import { PeerFault } from "./peer-fault.ts";
import type { PeerCall } from "./peer-server.ts";
import { parseFlowMessage, writeFlowMessage } from "./wire-forward.ts";

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the test's own data is wrong");
  return value;
}

const HOME = must(parseSiteId("1".repeat(16)));
const AWAY = must(parseSiteId("2".repeat(16)));
const FLOW = "f".repeat(32);
const name = {
  uploadId: must(parseUploadId("ab".repeat(16))),
  bucket: must(parseBucketName("photos")),
  key: must(parseObjectKey("reel")),
};
const part = {
  ...{ ...name, partNumber: 1, size: 3, etag: "0".repeat(32), lastModifiedMs: 5, checksums: [] },
  manifest: { hash: must(parseContentHash("cd".repeat(32))), bytes: 3 },
};
const attributes = { system: [], user: [], storageClass: undefined, tags: [] };
const UPLOAD: NonNullable<ForwardedHead["upload"]> = {
  upload: {
    ...{ ...name, createdMs: 1, initiator: "ALICE", encryption: undefined },
    ...{ attributes, checksum: undefined, lock: undefined },
  },
  parts: [part, { ...part, partNumber: 7 }],
};
const HEAD: ForwardedHead = {
  ...{ method: "PUT", target: "/photos/reel", headers: [["if-none-match", "*"]] },
  ...{ remoteAddress: "192.0.2.7", secure: false, principal: { kind: "root" } },
};
const ANSWER: ForwardedAnswer = {
  status: 200,
  headers: [["etag", '"x"']],
  body: Buffer.from("ok"),
};

/** What one request to the home was, in the end. */
type Taken = { bytes: Buffer; ends: number; cuts: number };

/** Where a message is lost: on its way, or its answer on the way back. */
type Fault = "whole" | "lost" | "unheard";

/** A home that takes what comes, and answers at the end, when `late` says so. */
function openHome(
  clock: SimClock,
  early?: number,
  late: () => Promise<void> = async () => undefined,
) {
  const taken: Taken[] = [];
  const guests = new ForwardGuests({
    clock,
    open: (): ForwardedFlow => {
      const one: Taken = { bytes: Buffer.of(), ends: 0, cuts: 0 };
      taken.push(one);
      return {
        data: async (bytes) => {
          one.bytes = Buffer.concat([one.bytes, bytes]);
          return early !== undefined && one.bytes.length >= early ? ANSWER : undefined;
        },
        end: async () => {
          one.ends += 1;
          await late();
          return ANSWER;
        },
        cut: () => {
          one.cuts += 1;
        },
      };
    },
  });
  return { guests, taken };
}

function ask({ route }: ForwardGuests, body: Uint8Array, from = AWAY) {
  return route.answer({ body, peer: { id: from } } as PeerCall);
}

/** A link to a home over which the next messages fare as it says; all others come through. */
function linkTo(guests: ForwardGuests, clock: SimClock, faults: Fault[] = []) {
  const client: PeerClient = {
    request: async (_peer, { body = Buffer.of() }) => {
      const fault = faults.shift() ?? "whole";
      if (fault === "lost") throw new PeerFault("unreachable", "lost");
      const answer = await ask(guests, Buffer.from(body));
      if (fault === "unheard") throw new PeerFault("timeout", "unheard");
      return { status: answer.status, headers: {}, body: Buffer.from(answer.body) };
    },
  };
  const random = createSimRandom(new Seed(1));
  const peers = () => [{ id: HOME, name: "paris" }] as unknown as MemberSite[];
  return { client, clock, random, peers };
}

/** Lets time pass until it has settled. */
async function passing<Value>(clock: SimClock, what: Promise<Value>): Promise<Value> {
  let isSettled = false;
  const settled = what.finally(() => {
    isSettled = true;
  });
  settled.catch(() => undefined);
  for (let second = 0; second < 600 && !isSettled; second++) await clock.advance(1000);
  return settled;
}

test("a body comes once and in order, whichever messages and answers are lost", async () => {
  const fault = fc.constantFrom<Fault>("whole", "lost", "unheard");
  await fc.assert(
    fc.asyncProperty(
      fc.array(fault, { maxLength: 12 }),
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 9 }), { maxLength: 5 }),
      async (faults, pieces) => {
        const clock = new SimClock();
        const { guests, taken } = openHome(clock);
        const sent = async () => {
          const flow = await openFlow(linkTo(guests, clock, faults), HOME, HEAD);
          for (const piece of pieces) expect(await flow.data(piece)).toBeUndefined();
          return flow.end();
        };
        const answer = await passing(clock, sent());
        expect([answer.status, String(answer.body)]).toEqual([200, "ok"]);
        expect(taken.map(({ bytes }) => bytes.toString("hex"))).toEqual([
          Buffer.concat(pieces).toString("hex"),
        ]);
        expect(taken[0]?.ends).toBe(1);
      },
    ),
    { numRuns: 60 },
  );
});

test("an answer that comes before the end of the body is heard at once", async () => {
  const clock = new SimClock();
  const { guests, taken } = openHome(clock, 4);
  const flow = await openFlow(linkTo(guests, clock), HOME, HEAD);
  expect(await flow.data(Buffer.from("abc"))).toBeUndefined();
  expect((await flow.data(Buffer.from("def")))?.status).toBe(200);
  expect(taken[0]?.ends).toBe(0);
});

test("an answer that takes long is asked for again and again", async () => {
  const clock = new SimClock();
  const { guests, taken } = openHome(clock, undefined, () => clock.sleep(100_000));
  const flow = await openFlow(linkTo(guests, clock), HOME, HEAD);
  const answer = await passing(clock, flow.end());
  expect([answer.status, taken[0]?.ends, taken[0]?.cuts]).toEqual([200, 1, 0]);
});

test("a link that stays broken ends in a fault, and the home gives the request up", async () => {
  const clock = new SimClock();
  const { guests, taken } = openHome(clock);
  const flow = await openFlow(
    linkTo(guests, clock, ["whole", ...new Array<Fault>(1000).fill("lost")]),
    HOME,
    HEAD,
  );
  const sent = passing(clock, flow.data(Buffer.from("abc")));
  await expect(sent).rejects.toMatchObject({ kind: "unreachable" });
  await clock.advance(LIMITS.forwardedFlowIdleMs);
  expect(taken[0]).toMatchObject({ ends: 0, cuts: 1 });
  expect(clock.pendingTimers).toBe(0);
});

test("who gives a request up is heard, and nobody else can", async () => {
  const clock = new SimClock();
  const { guests, taken } = openHome(clock);
  await ask(guests, writeFlowMessage({ kind: "open", flow: FLOW, request: HEAD }));
  const cut = writeFlowMessage({ kind: "cut", flow: FLOW });
  expect((await ask(guests, cut, HOME)).status).toBe(404);
  expect(taken[0]?.cuts).toBe(0);
  expect((await ask(guests, cut)).status).toBe(202);
  expect(taken[0]?.cuts).toBe(1);
  const late = writeFlowMessage({ kind: "end", flow: FLOW, offset: 0 });
  expect((await ask(guests, late)).status).toBe(404);
});

test("bytes that have gaps, and an end elsewhere than where the body ends, are refused", async () => {
  const clock = new SimClock();
  const { guests, taken } = openHome(clock);
  await ask(guests, writeFlowMessage({ kind: "open", flow: FLOW, request: HEAD }));
  const data = (offset: number, bytes: string) =>
    ask(guests, writeFlowMessage({ kind: "data", flow: FLOW, offset, bytes: Buffer.from(bytes) }));
  const end = (offset: number) =>
    ask(guests, writeFlowMessage({ kind: "end", flow: FLOW, offset }));
  expect((await data(1, "b")).status).toBe(409);
  expect((await data(0, "ab")).status).toBe(202);
  expect((await data(1, "bc")).status).toBe(202);
  expect((await end(2)).status).toBe(409);
  expect((await end(4)).status).toBe(409);
  expect((await end(3)).status).toBe(200);
  expect((await end(3)).status).toBe(200);
  expect([String(taken[0]?.bytes), taken[0]?.ends]).toEqual(["abc", 1]);
  expect((await ask(guests, Buffer.from("nonsense"))).status).toBe(400);
});

test("so many are under way at once, and no more", async () => {
  const clock = new SimClock();
  const { guests } = openHome(clock);
  const open = (at: number) => {
    const flow = at.toString(16).padStart(32, "0");
    return ask(guests, writeFlowMessage({ kind: "open", flow, request: HEAD }));
  };
  for (let at = 0; at < LIMITS.forwardedFlowsMax; at++) expect((await open(at)).status).toBe(202);
  expect((await open(0)).status).toBe(202);
  expect((await open(LIMITS.forwardedFlowsMax)).status).toBe(503);
  const end = writeFlowMessage({ kind: "end", flow: "0".repeat(32), offset: 0 });
  expect((await ask(guests, end)).status).toBe(200);
  expect((await open(LIMITS.forwardedFlowsMax)).status).toBe(202);
  guests.stop();
  expect(clock.pendingTimers).toBe(0);
});

test("an upload comes with its parts as it was, and nothing else for it", () => {
  const bytes = writeFlowMessage({
    ...{ kind: "open", flow: FLOW, request: { ...HEAD, upload: UPLOAD } },
  });
  const read = parseFlowMessage(bytes);
  if (read.outcome === "bad" || read.value.kind !== "open") throw new Error("it was one");
  expect(read.value.request.upload).toEqual(UPLOAD);
  const head = 4 + bytes.readUInt32LE(0);
  for (let at = head + 1; at < bytes.length; at++) {
    expect(parseFlowMessage(bytes.subarray(0, at)).outcome).toBe("bad");
  }
  const swapped = { ...UPLOAD, parts: [...UPLOAD.parts].reverse() };
  const wrong = { ...HEAD, upload: swapped };
  expect(
    parseFlowMessage(writeFlowMessage({ kind: "open", flow: FLOW, request: wrong })).outcome,
  ).toBe("bad");
});

test("whatever else comes is no message", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(parseFlowMessage(bytes).outcome).toBe("bad");
    }),
  );
});
