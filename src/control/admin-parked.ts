import { z } from "zod";
import type { GivenUp } from "../replication/status.ts";
import type { ParkedWrite } from "../storage/parked-writes.ts";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

export const PARKED_PATH = "/v1/admin/repl-parked";

/** What other sites wrote and this one cannot show. */
export type ParkedDesk = {
  list(
    max: number,
  ): Promise<{ readonly writes: readonly ParkedWrite[]; readonly operations: number }>;
  giveUp(): Promise<GivenUp>;
};

const LIST = z.strictObject({ limit: z.number().int().min(1).max(1000).default(100) });

/** Parked writes: listed, and given up where no site has their bytes any more; both with POST. */
export function routeParked(desk: ParkedDesk, call: AdminCall): AdminAnswer | Promise<AdminAnswer> {
  switch (`${call.method} ${call.path.slice(PARKED_PATH.length)}`) {
    case "POST /list":
      return list(desk, call.body);
    case "POST /give-up":
      return desk.giveUp().then((body) => ({ status: 200, body }));
  }
  return adminProblem(405, "Parked writes are listed and given up with POST.");
}

async function list(desk: ParkedDesk, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(LIST, body);
  if (!wish.success) return wish.refusal;
  const { writes, operations } = await desk.list(wish.data.limit);
  return { status: 200, body: { operations, writes: writes.map(factsOf) } };
}

function factsOf({ bucket, key, version, bytes, writtenMs, reason }: ParkedWrite) {
  const written = new Date(writtenMs).toISOString();
  return { bucket, key, version: version ?? "null", bytes, written, reason };
}
