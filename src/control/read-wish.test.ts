import { expect, test } from "vitest";
import { z } from "zod";
import { readWish } from "./read-wish.ts";

const WISH = z.strictObject({
  name: z.string().min(1).max(3).optional(),
  names: z.array(z.string().max(2)).min(1).max(2).optional(),
  hours: z.number().min(0.5).max(168).optional(),
  count: z.int().optional(),
  mode: z.enum(["fast", "slow"]).optional(),
  policy: z.record(z.string(), z.unknown()).optional(),
  force: z.boolean().default(false),
  path: z.string().startsWith("/", "a directory is named in full").optional(),
  digits: z
    .string()
    .regex(/^[0-9]+$/)
    .optional(),
  either: z.union([z.literal(1), z.strictObject({ a: z.string() })]).optional(),
  deep: z.strictObject({ key: z.string() }).optional(),
});

test("a wish is read with what it leaves out, and one without a body has no fields", () => {
  expect(readWish(WISH, { name: "abc" })).toEqual({
    success: true,
    data: { name: "abc", force: false },
  });
  expect(readWish(WISH, undefined)).toEqual({ success: true, data: { force: false } });
});

test.each([
  [{ name: "abcd" }, '"name" has at most 3 characters.'],
  [{ name: "" }, '"name" has at least 1 character.'],
  [{ name: 7 }, '"name" has to be text.'],
  [{ names: [] }, '"names" has at least 1 entry.'],
  [{ names: ["a", "b", "c"] }, '"names" has at most 2 entries.'],
  [{ names: ["a", "bcd"] }, '"names" has at most 2 characters.'],
  [{ names: "a" }, '"names" has to be a list.'],
  [{ hours: 169 }, '"hours" is at most 168.'],
  [{ hours: 0 }, '"hours" is at least 0.5.'],
  [{ hours: "1" }, '"hours" has to be a number.'],
  [{ count: 1.5 }, '"count" has to be a whole number.'],
  [{ mode: "loud" }, '"mode" is one of fast, slow.'],
  [{ policy: [] }, '"policy" has to be an object.'],
  [{ force: "yes" }, '"force" has to be true or false.'],
  [{ path: "box" }, "A directory is named in full."],
  [{ digits: "x" }, '"digits" is not written as it has to be.'],
  [{ either: 2 }, '"either" cannot be taken as it is.'],
  [{ deep: {} }, '"deep.key" is missing.'],
  [{ surprise: 1, more: 2 }, "The request has nothing called surprise, more."],
  [[], "The request has to be an object."],
  ["x", "The request has to be an object."],
  [
    { name: 1, names: 1, hours: "a", count: "b" },
    '"name" has to be text. "names" has to be a list. "hours" has to be a number.',
  ],
])("%j is refused in a sentence", (body, message) => {
  expect(readWish(WISH, body)).toEqual({
    success: false,
    refusal: { status: 400, body: { error: { message } } },
  });
});
