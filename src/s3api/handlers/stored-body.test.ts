import { expect, test } from "vitest";
import type { Store, StoredObject } from "../../storage/store.ts";
import { readWholeBody } from "./stored-body.ts";

/** A store whose small bodies all come in the same memory, as the real one's do. */
function storeOf(bodies: ReadonlyMap<object, string>): Store {
  const memory = Buffer.alloc(64);
  const readSmallBody: Store["readSmallBody"] = (object, range) => {
    memory.write(bodies.get(object) ?? "", "latin1");
    return memory.subarray(range.start, range.end);
  };
  return { readSmallBody } as Partial<Store> as Store;
}

function objectOf(text: string): StoredObject {
  const record = { size: text.length, body: { kind: "inline", bytes: text.length } };
  return { record } as Partial<StoredObject> as StoredObject;
}

test("a body that was read whole stays as it is when the next one is read", async () => {
  const texts = ["the body of the first", "quite another body   "];
  const [first, second] = texts.map(objectOf);
  if (first === undefined || second === undefined) throw new Error("there are two objects");
  const store = storeOf(new Map([first, second].map((object, at) => [object, texts[at] ?? ""])));
  const kept = await readWholeBody(store, first);
  await readWholeBody(store, second);
  expect(Buffer.from(kept).toString()).toBe(texts[0]);
});
