import { expect, test } from "vitest";
import { RequestIds } from "./request-ids.ts";

const random = { bytes: (count: number) => new Uint8Array(count).fill(0xab) };

test("every request of a server has its own id of sixteen digits", () => {
  const ids = new RequestIds(random);
  const seen = new Set(Array.from({ length: 1000 }, () => ids.next()));
  expect(seen.size).toBe(1000);
  for (const id of seen) expect(id).toMatch(/^ABABABAB[0-9A-F]{8}$/);
});

test("the host id stays the same while the server runs", () => {
  const ids = new RequestIds(random);
  expect(Buffer.from(ids.hostId, "base64")).toHaveLength(48);
});
