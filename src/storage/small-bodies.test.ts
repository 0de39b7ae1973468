import { expect, test } from "vitest";
import { LIMITS } from "../core/limits.ts";
import { SMALL_RECORD_BYTES_MAX, SmallBodies } from "./small-bodies.ts";

/** Reads one body into its room, which has a header in front, and offers it. */
function readInto(bodies: SmallBodies, at: number, bytes: number): Uint8Array {
  const body = bodies
    .room(bytes + 20)
    .fill(at)
    .subarray(20);
  bodies.offer(String(at), body);
  return body;
}

test("what was given out never changes, however much is read behind it", () => {
  const bodies = new SmallBodies();
  const sizes = [0, 1, 4096, LIMITS.hotBodyBytesMax + 1, LIMITS.inlineBodyBytesMax];
  const given: Array<readonly [number, Uint8Array]> = [];
  for (let at = 1; at <= 250; at++) {
    given.push([at, readInto(bodies, at, sizes[at % sizes.length] ?? 0)]);
  }
  for (const [at, bytes] of given) {
    expect(bytes.every((byte) => byte === at)).toBe(true);
    expect(bodies.get(String(at))?.every((byte) => byte === at) ?? true).toBe(true);
  }
});

test("a remembered body has memory of its own, and only a small one is remembered", () => {
  const bodies = new SmallBodies();
  readInto(bodies, 1, 4096);
  readInto(bodies, 2, LIMITS.hotBodyBytesMax + 1);
  expect(bodies.get("1")?.buffer.byteLength).toBe(4096);
  expect(bodies.get("2")).toBeUndefined();
});

test("the longest record has room", () => {
  expect(new SmallBodies().room(SMALL_RECORD_BYTES_MAX)).toHaveLength(SMALL_RECORD_BYTES_MAX);
});
