import type { Seed } from "../seed.ts";
import type { ClientSettings } from "./client.ts";

/** What may go wrong in a run; each seed has some of it. */
export type Plan = ClientSettings & {
  readonly exchange: "direct" | "engine";
  readonly acts: number;
  readonly crashes: boolean;
  readonly cutSteps: boolean;
  readonly lines: boolean;
  readonly weather: boolean;
  readonly clocks: boolean;
  readonly jumps: boolean;
  /** Sites watch their own clocks, and wait for an operator when they jump. */
  readonly guarded: boolean;
  readonly idle: boolean;
  /** A week passes in the middle: logs and tombstones that nobody waits for are dropped. */
  readonly ages: boolean;
  readonly backups: boolean;
  /** The last site joins when there is something to take over; what it wrote alone stays. */
  readonly joins: "empty" | "with data" | undefined;
  /** A site is removed for ever. */
  readonly removes: boolean;
  /** Now and then a site takes over all rows of another one by hand. */
  readonly takesRows: boolean;
  /** Disks are set back to what they were. */
  readonly setBacks: boolean;
  /** Writes wait at a start until peers have told what they know of the site's own log. */
  readonly holds: boolean;
};

/** What a life is about: everything, or something that would be rare among everything. */
export type Life = "usual" | "set back" | "locked";

type MakePlan = (seed: Seed, mayJoin: boolean) => Plan;

/** How the seed of a life says what may go wrong in it. */
export const PLANS: Readonly<Record<Life, MakePlan>> = {
  usual: makePlan,
  "set back": (seed) => {
    const usual = makePlan(seed, false);
    const [removes, takesRows] = [seed.chance(0.05), seed.chance(0.05)];
    const own = { setBacks: true, holds: seed.chance(0.5), removes, takesRows };
    // Where the peers' logs have been dropped, only times tell where a site's own and theirs part.
    const ages = usual.ages && !usual.clocks && !usual.jumps;
    // Another way to lose the end of a log would let more be lost than what is counted here.
    return { ...usual, exchange: "engine", ...own, backups: false, ages };
  },
  // Versions are held, retained, freed and deleted at all sites at once.
  locked: (seed, mayJoin) => {
    const own = { locks: true, manyLocks: true, versioned: true };
    return { ...makePlan(seed, mayJoin), ...own };
  },
};

/** Whether there are such lives. */
export function isLife(name: string): name is Life {
  return Object.hasOwn(PLANS, name);
}

/** A swarm: each seed leaves some of the trouble out, so that the rest goes further. */
function makePlan(seed: Seed, mayJoin: boolean): Plan {
  const rowsFirst = process.env["SIM_ROWS_FIRST"] === "1";
  const troubles = makeTroubles(seed);
  const plan = rowsFirst ? { ...troubles, exchange: "engine" as const } : troubles;
  const canMove = plan.exchange === "engine";
  const joins = seed.chance(0.15) ? (["empty", "with data"] as const) : [];
  const [removes, takesRows] = [seed.chance(0.15), seed.chance(0.15)];
  return {
    ...{ ...plan, rowsFirst },
    joins: mayJoin && canMove && joins.length > 0 ? seed.pick(joins) : undefined,
    removes: canMove && removes,
    takesRows: canMove && takesRows,
    ...{ setBacks: false, holds: false },
  };
}

type Troubles = Omit<Plan, "joins" | "removes" | "takesRows" | "rowsFirst" | "setBacks" | "holds">;

function makeTroubles(seed: Seed): Troubles {
  return {
    exchange: seed.chance(0.6) ? "engine" : "direct",
    acts: 10 + seed.int(70),
    versioned: seed.chance(0.6),
    locks: seed.chance(0.2),
    buckets: seed.chance(0.5),
    large: seed.chance(0.01),
    crashes: seed.chance(0.5),
    cutSteps: seed.chance(0.5),
    lines: seed.chance(0.6),
    weather: seed.chance(0.6),
    clocks: seed.chance(0.2),
    jumps: seed.chance(0.3),
    guarded: seed.chance(0.5),
    idle: seed.chance(0.03),
    ages: seed.chance(0.15),
    backups: seed.chance(0.2),
  };
}
