import { expect, test } from "vitest";
import { type ReplicationMoves, routeMoves } from "./admin-moves.ts";

const PARIS = { id: "a".repeat(16), name: "paris" };
const TWINS = [
  { id: "b".repeat(16), name: "rome" },
  { id: "c".repeat(16), name: "rome" },
];

function movesOf() {
  const asked: unknown[] = [];
  const moves: ReplicationMoves = {
    peers: () => [PARIS, ...TWINS],
    pull: async (peer) => {
      asked.push(["pull", peer]);
      return [{ peer: PARIS, operations: 3, bytes: 400, parked: 1, problem: "refused" }];
    },
    push: async (waitMs) => {
      asked.push(["push", waitMs]);
      return [{ peer: PARIS, operationsBehind: 2 }];
    },
  };
  return { asked, moves };
}

const PULL = { method: "POST", path: "/v1/admin/repl-pull" };
const PUSH = { method: "POST", path: "/v1/admin/repl-push" };

test("a pull goes to all peers or to one, by name or id, and tells what came", async () => {
  const { asked, moves } = movesOf();
  const answer = await routeMoves(moves, { ...PULL, body: undefined });
  expect(answer).toEqual({
    status: 200,
    body: {
      peers: [
        {
          ...{ site: PARIS.id, name: "paris", operations: 3, bytes: 400 },
          ...{ parked: 1, problem: "refused" },
        },
      ],
    },
  });
  await routeMoves(moves, { ...PULL, body: { peer: "paris" } });
  await routeMoves(moves, { ...PULL, body: { peer: TWINS[1]?.id } });
  expect(asked).toEqual([
    ["pull", undefined],
    ["pull", PARIS.id],
    ["pull", TWINS[1]?.id],
  ]);
});

test("a push waits a minute unless told otherwise, and tells who is behind", async () => {
  const { asked, moves } = movesOf();
  const answer = await routeMoves(moves, { ...PUSH, body: undefined });
  expect(answer).toMatchObject({ body: { peers: [{ name: "paris", operations_behind: 2 }] } });
  await routeMoves(moves, { ...PUSH, body: { wait_seconds: 0.5 } });
  expect(asked).toEqual([
    ["push", 60_000],
    ["push", 500],
  ]);
});

test.each([
  ["another method", { ...PULL, method: "GET", body: undefined }, 405],
  ["a peer that is none", { ...PULL, body: { peer: "berlin" } }, 404],
  ["a name that two peers have", { ...PULL, body: { peer: "rome" } }, 409],
  ["an unknown field", { ...PULL, body: { peers: ["paris"] } }, 400],
  ["a wait for ever", { ...PUSH, body: { wait_seconds: 1e9 } }, 400],
])("%s is refused and nothing is moved", async (_what, call, status) => {
  const { asked, moves } = movesOf();
  expect(await routeMoves(moves, call)).toMatchObject({ status });
  expect(asked).toEqual([]);
});
