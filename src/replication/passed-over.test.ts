import { expect, test } from "vitest";
import { createMemoryLog } from "../../test/sim/memory-log.ts";
import { parseSiteId } from "../core/names.ts";
import { required } from "../core/tagged-fields.ts";
import { PassedOver } from "./passed-over.ts";
import { PeerFault } from "./peer-fault.ts";
import { PeerLie } from "./peer-lie.ts";

const PARIS = required(parseSiteId("1".repeat(16)), "site");
const OSLO = required(parseSiteId("2".repeat(16)), "site");
const CUT = new PeerFault("unreachable", "the line was cut");

function watched() {
  const log = createMemoryLog();
  const failed: string[] = [];
  const watch = { failed: (_site: string, message: string) => void failed.push(message) };
  return { log, failed, over: new PassedOver({ log, watch }) };
}

test("a peer that fails a thousand times is logged once and counted each time", () => {
  const { log, failed, over } = watched();
  for (let times = 0; times < 1000; times++) over.note(PARIS, "a chunk", CUT);
  expect([over.count, failed.length]).toEqual([1000, 1000]);
  expect(log.lines).toHaveLength(1);
  expect(log.lines[0]).toMatchObject({ level: "warn" });
  expect(JSON.stringify(log.lines)).toContain("the line was cut");
});

test("another peer, another wish and another kind of failure are told as well", () => {
  const { log, over } = watched();
  over.note(PARIS, "a chunk", CUT);
  over.note(OSLO, "a chunk", CUT);
  over.note(PARIS, "right bytes", CUT);
  over.note(PARIS, "a chunk", new PeerLie("other bytes"));
  over.note(PARIS, "a chunk", new PeerLie("yet other bytes"));
  expect([over.count, log.lines.length]).toEqual([5, 4]);
});

test("a peer that has answered since is told anew", () => {
  const { log, over } = watched();
  over.note(PARIS, "a chunk", CUT);
  over.answered(OSLO, "a chunk");
  over.answered(PARIS, "right bytes");
  over.note(PARIS, "a chunk", CUT);
  expect(log.lines).toHaveLength(1);
  over.answered(PARIS, "a chunk");
  over.note(PARIS, "a chunk", CUT);
  expect(log.lines).toHaveLength(2);
});
