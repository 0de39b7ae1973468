import { expect, test } from "vitest";
import { Line } from "./line.ts";

test("tasks are done one after the other, and one that fails keeps nobody waiting", async () => {
  const line = new Line();
  const told: string[] = [];
  const task = (name: string) => async (): Promise<string> => {
    told.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    if (name === "two") throw new Error("two failed");
    told.push(`${name} ends`);
    return name;
  };
  const one = line.run(task("one"));
  const two = line.run(task("two"));
  const three = line.run(task("three"));
  const idle = line.idle().then(() => told.push("idle"));
  expect(await one).toBe("one");
  await expect(two).rejects.toThrow("two failed");
  expect(await three).toBe("three");
  await idle;
  const order = ["one begins", "one ends", "two begins", "three begins", "three ends", "idle"];
  expect(told).toEqual(order);
});
