import { type Client, NoAnswer } from "./s3-client.ts";
import { type Memory, type Step, succeeded, worldAfter } from "./workload.ts";
import type { World } from "./world.ts";

/** What the client of a run knows when it is over. */
export type Knowledge = {
  /** What has been acknowledged. */
  readonly before: World;
  /** The step that was under way; its effect is there whole or not at all. */
  readonly underWay: Step | undefined;
  readonly memory: Memory;
};

export const NOTHING_KNOWN: Knowledge = { before: {}, underWay: undefined, memory: new Map() };

/** Sends one step after the other until all are acknowledged or the server is gone. */
export async function runUntilGone(client: Client, steps: readonly Step[]): Promise<Knowledge> {
  const memory: Memory = new Map();
  let before: World = {};
  for (const step of steps) {
    try {
      const answer = await client.send(step.ask(memory));
      if (!succeeded(answer)) {
        throw new Error(`${step.name}: ${answer.status} ${answer.code}`);
      }
      step.learn?.(answer, memory);
    } catch (failure) {
      if (failure instanceof NoAnswer) return { before, underWay: step, memory };
      throw failure;
    }
    before = worldAfter(before, step);
  }
  return { before, underWay: undefined, memory };
}

/** Every world that the server may show now, each with whether the step under way took place. */
export function possibleWorlds({ before, underWay }: Knowledge): World[] {
  return underWay === undefined ? [before] : [before, worldAfter(before, underWay)];
}

/** Repeats the step that was cut off, as a client would, and gives the world after it. */
export async function repeatStep(
  client: Client,
  { before, underWay, memory }: Knowledge,
  tookPlace: boolean,
): Promise<World> {
  if (underWay === undefined) return before;
  const after = worldAfter(before, underWay);
  if (underWay.repeated === "never" && tookPlace) return after;
  const answer = await client.send(underWay.ask(memory));
  const known = tookPlace && underWay.repeated.includes(answer.code);
  if (succeeded(answer) || known) return after;
  throw new Error(`${underWay.name}, repeated: ${answer.status} ${answer.code}`);
}
