import { afterEach, expect, test } from "vitest";
import { signedHeadOf } from "../../test/support/memory-replica.ts";
import { openTwins, writeSmall } from "../../test/support/replication-twins.ts";
import { parseOriginId, parseSeq, type Seq } from "../core/names.ts";
import { checkPage, type PageCheckDeps } from "./page-check.ts";

let stop: () => Promise<void> = async () => undefined;

afterEach(() => stop());

const FORMER = 3;
const COUNT = 6;

/** A site checks a page of its own former log, of which it holds the first operations. */
async function checkOwn(from: number, withdrawn: "there" | "elsewhere" | "unknown") {
  const { site, hash, members, stop: end } = await openTwins(["berlin"]);
  stop = end;
  const { replica, owner } = site("berlin");
  const { origin } = owner;
  const heads = new Map<number, ReturnType<typeof headOf>>();
  const headOf = () => replica.received().get(origin) ?? expect.unreachable();
  for (let seq = 1; seq <= COUNT; seq++) {
    writeSmall(site("berlin"), `write ${seq}`);
    heads.set(seq, headOf());
  }
  const chainAt = { there: FORMER + 1, elsewhere: FORMER + 2, unknown: 0 }[withdrawn];
  const first = heads.get(chainAt)?.chain;
  const deps: PageCheckDeps = {
    ...{ clusterId: owner.clusterId, hash },
    own: parseOriginId("ab".repeat(8)) ?? expect.unreachable(),
    withdrawn: [{ origin, from: seqOf(FORMER + 1), first }],
  };
  const head = heads.get(FORMER) ?? expect.unreachable();
  return checkPage(deps, {
    ...{ entries: replica.entries.slice(from - 1), heads: [signedHeadOf(owner, headOf())] },
    ...{ received: new Map([[origin, head]]), sites: members, written: [] },
  });
}

function seqOf(seq: number): Seq {
  return parseSeq(seq) ?? expect.unreachable();
}

test.each([1, FORMER, FORMER + 1])(
  "what a site has withdrawn is not taken back from a peer that took it (%i)",
  async (from) => {
    const { entries, heads, diverged } = await checkOwn(from, "there");
    expect([entries, heads, diverged.length]).toEqual([[], [], 1]);
  },
);

test.each(["elsewhere", "unknown"] as const)(
  "what stood in its place before the site was set back is taken (%s)",
  async (withdrawn) => {
    const { entries, heads, diverged } = await checkOwn(1, withdrawn);
    expect([entries.length, heads.length, diverged]).toEqual([COUNT - FORMER, 1, []]);
  },
);
