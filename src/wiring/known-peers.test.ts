import { expect, test } from "vitest";
import type { MemberSite } from "../core/site-record.ts";
import { peersWhenWritten } from "./known-peers.ts";

test("peers are read when something was written since, and not from a site at rest", () => {
  const peer = {} as MemberSite;
  let written = 0;
  let reads = 0;
  let peers: readonly MemberSite[] = [];
  const known = peersWhenWritten(
    () => written,
    () => {
      reads += 1;
      return peers;
    },
  );
  expect([known(), known()]).toEqual([[], []]);
  expect(reads).toBe(1);
  written = 1;
  peers = [peer];
  expect([known(), known()]).toEqual([[peer], [peer]]);
  expect(reads).toBe(2);
});
