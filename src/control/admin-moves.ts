import { z } from "zod";
import { type AdminAnswer, type AdminCall, adminProblem } from "./admin-call.ts";
import { readWish } from "./read-wish.ts";

export const PULL_PATH = "/v1/admin/repl-pull";
export const PUSH_PATH = "/v1/admin/repl-push";

/** A peer by what operators call it. */
export type MovePeer = { readonly id: string; readonly name: string };

export type PulledFrom = {
  readonly peer: MovePeer;
  readonly operations: number;
  readonly bytes: number;
  /** Operations whose bytes are not here yet. */
  readonly parked: number;
  /** Why not everything came; undefined when it did. */
  readonly problem: string | undefined;
};

export type PushedTo = { readonly peer: MovePeer; readonly operationsBehind: number };

/** What moves operations between this site and its peers. */
export interface ReplicationMoves {
  peers(): readonly MovePeer[];
  /** Takes what the peers have; of one of them when its id is given. */
  pull(peer?: string): Promise<readonly PulledFrom[]>;
  /** Waits until the peers have applied what this site has, at most so long. */
  push(waitMs: number): Promise<readonly PushedTo[]>;
}

const PULL = z.strictObject({ peer: z.string().min(1).max(200).optional() });
const PUSH = z.strictObject({ wait_seconds: z.number().min(0).max(3600).default(60) });

/** One round of moving operations, when an operator or a script wants it now. */
export function routeMoves(
  moves: ReplicationMoves,
  { method, path, body }: AdminCall,
): AdminAnswer | Promise<AdminAnswer> {
  if (method !== "POST") return adminProblem(405, "Operations are pulled and pushed with POST.");
  return path === PULL_PATH ? pull(moves, body) : push(moves, body);
}

async function pull(moves: ReplicationMoves, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(PULL, body);
  if (!wish.success) return wish.refusal;
  const wanted = wish.data.peer;
  const found = wanted === undefined ? [] : findPeers(moves, wanted);
  const [peer] = found;
  if (wanted !== undefined && peer === undefined) {
    return adminProblem(404, `There is no peer ${wanted}.`);
  }
  if (found.length > 1) {
    return adminProblem(409, `More than one peer is called ${wanted}: name it by its id.`);
  }
  const reports = await moves.pull(peer?.id);
  const peers = reports.map(({ peer: { id, name }, ...rest }) => ({ site: id, name, ...rest }));
  return { status: 200, body: { peers } };
}

async function push(moves: ReplicationMoves, body: unknown): Promise<AdminAnswer> {
  const wish = readWish(PUSH, body);
  if (!wish.success) return wish.refusal;
  const reports = await moves.push(wish.data.wait_seconds * 1000);
  const peers = reports.map(({ peer: { id, name }, operationsBehind }) => {
    return { site: id, name, operations_behind: operationsBehind };
  });
  return { status: 200, body: { peers } };
}

function findPeers(moves: ReplicationMoves, wanted: string): readonly MovePeer[] {
  return moves.peers().filter(({ id, name }) => id === wanted || name === wanted);
}
