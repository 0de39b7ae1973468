import { expect, test } from "vitest";
import { Ahead } from "./ahead.ts";

/** Small letters are not worth beginning early, "|" is a fence. */
function lookAhead(text: string, atOnce: number) {
  const items = [...text];
  const begun: string[] = [];
  const discarded: string[] = [];
  const ends = new Map<string, { resolve: () => void; reject: () => void }>();
  const ahead = new Ahead<string, string>({
    ...{ items, atOnce },
    isWorthIt: (item) => item !== item.toLowerCase(),
    isFence: (item) => item === "|",
    find: (item) => {
      begun.push(item);
      return new Promise((resolve, reject) => {
        const resolveIt = () => resolve(`found ${item}`);
        ends.set(item, { resolve: resolveIt, reject: () => reject(new Error(item)) });
      });
    },
    discard: (found) => void discarded.push(found),
  });
  const take = (at: number, isOpen = true) => ahead.take(at, items[at] ?? "", isOpen);
  return { ahead, take, begun, discarded, ends };
}

test("later ones are begun while earlier ones are under way, so many at once, each once", async () => {
  const { take, begun, ends } = lookAhead("AbCDE", 2);
  const first = take(0);
  expect(begun).toEqual(["A", "C"]);
  ends.get("A")?.resolve();
  expect(await first).toBe("found A");
  const small = take(1);
  expect(begun).toEqual(["A", "C", "D", "b"]);
  ends.get("b")?.resolve();
  expect(await small).toBe("found b");
  ends.get("C")?.resolve();
  expect(await take(2)).toBe("found C");
  expect(begun).toEqual(["A", "C", "D", "b"]);
  ends.get("D")?.resolve();
  expect(await take(3)).toBe("found D");
  expect(begun).toEqual(["A", "C", "D", "b", "E"]);
});

test("nothing behind a fence is begun before it was taken, nor while the way is not open", () => {
  const { take, begun, ends } = lookAhead("A|BC", 8);
  void take(0);
  expect(begun).toEqual(["A"]);
  void take(1, false);
  expect(begun).toEqual(["A", "|"]);
  void take(2, false);
  expect(begun).toEqual(["A", "|", "B"]);
  void take(3, true);
  expect(begun).toEqual(["A", "|", "B", "C"]);
  expect(ends.size).toBe(4);
});

test("what nobody takes is let go of when it arrives, and a failure of it is no failure", async () => {
  const { ahead, take, discarded, ends } = lookAhead("ABC", 3);
  const first = take(0);
  ends.get("A")?.reject();
  await expect(first).rejects.toThrow("A");
  const ended = ahead.end();
  ends.get("B")?.reject();
  ends.get("C")?.resolve();
  await ended;
  expect(discarded).toEqual(["found C"]);
});
