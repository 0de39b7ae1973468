import { expectSuccess, isRecord } from "../admin-client.ts";
import { type Answer, administer } from "../administer.ts";
import type { Command } from "../command.ts";
import { EXIT_CODES, pairs } from "../output.ts";

const list: Command = {
  name: "keys ring list",
  summary: "List the keys that seal secrets and encrypted objects, never the keys themselves",
  settings: "place",
  json: true,
  examples: ["atoll keys ring list"],
  run: (input) => administer(input, "GET", "key-ring", { show: showRing }),
};

const rotate: Command = {
  name: "keys ring rotate",
  summary: "Make a new key and seal with it from now on; the old ones stay, to read with",
  settings: "place",
  json: true,
  examples: ["atoll keys ring rotate"],
  run: (input) => administer(input, "POST", "key-ring/rotate", { show: showRing }),
};

const rewrap: Command = {
  name: "keys ring rewrap",
  summary: "Seal secrets and what opens encrypted objects with the current key; no body is touched",
  settings: "place",
  json: true,
  examples: ["atoll keys ring rewrap"],
  async run(input) {
    const client = await input.program.administration(input);
    const total = { access_keys: 0, seen: 0, rewrapped: 0, unreadable: 0 };
    try {
      // Each step is bounded; one that is broken off is made up for by the next walk.
      for (let after: unknown; ; ) {
        const body = after === undefined ? {} : { after };
        const answer = expectSuccess(await client.call("POST", "key-ring/rewrap", body));
        total.access_keys += countOf(answer, "access_keys");
        total.seen += countOf(answer, "seen");
        total.rewrapped += countOf(answer, "rewrapped");
        total.unreadable += countOf(answer, "unreadable");
        after = answer["next"];
        if (after === undefined) break;
      }
    } finally {
      await client.close();
    }
    input.output.result(total, () =>
      pairs(
        Object.entries(total).map(([name, count]) => [name.replaceAll("_", " "), String(count)]),
      ),
    );
    return total.unreadable === 0 ? EXIT_CODES.fine : EXIT_CODES.damage;
  },
};

export const KEY_RING_COMMANDS: readonly Command[] = [list, rotate, rewrap];

function countOf(answer: Answer, name: string): number {
  const count = answer[name];
  return typeof count === "number" ? count : 0;
}

function showRing(answer: Answer): string {
  const keys = Array.isArray(answer["keys"]) ? answer["keys"].filter(isRecord) : [];
  return keys
    .map((key) => `${String(key["id"])}${key["current"] === true ? "  current" : ""}`)
    .join("\n");
}
