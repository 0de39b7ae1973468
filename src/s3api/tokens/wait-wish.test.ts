import { expect, test } from "vitest";
import { parseHlc } from "../../core/hlc.ts";
import { parseOriginId, SEQ_ZERO } from "../../core/names.ts";
import { formatWriteToken } from "../../core/write-token.ts";
import { S3Error } from "../errors.ts";
import { headersOf } from "../headers/header-list.ts";
import { readWaitWish } from "./wait-wish.ts";

const origin = parseOriginId("0123456789abcdef");
const hlc = parseHlc(7n);
if (origin === undefined || hlc === undefined) throw new Error("these are parts of a token");
const TOKEN = { origin, seq: SEQ_ZERO, hlc };
const TEXT = formatWriteToken(TOKEN);

function read(lines: ReadonlyArray<readonly [string, string]>) {
  const headers = headersOf(lines);
  return readWaitWish(headers.get("x-atoll-after") ?? "", headers);
}

test("a token waits for nothing, unless told for how long", () => {
  expect(read([["x-atoll-after", TEXT]])).toEqual({ token: TOKEN, waitMs: 0 });
  const wait = [
    ["x-atoll-after", TEXT],
    ["x-atoll-wait", "60000"],
  ] as const;
  expect(read(wait)).toEqual({ token: TOKEN, waitMs: 60_000 });
});

test.each([
  [[["x-atoll-after", ""]]],
  [[["x-atoll-after", "latest"]]],
  [[["x-atoll-after", TEXT.slice(1)]]],
  [
    [
      ["x-atoll-after", TEXT],
      ["x-atoll-after", TEXT],
    ],
  ],
  ...["", "-1", "1.5", "1e3", "60001", "9999999999", "soon", "0x10"].map(
    (wait) =>
      [
        [
          ["x-atoll-after", TEXT],
          ["x-atoll-wait", wait],
        ],
      ] as const,
  ),
] as const)("%j is refused by name", (lines) => {
  let failure: unknown;
  try {
    read(lines as ReadonlyArray<readonly [string, string]>);
  } catch (thrown) {
    failure = thrown;
  }
  expect(failure).toBeInstanceOf(S3Error);
  if (!(failure instanceof S3Error)) return;
  expect([failure.code, failure.status]).toEqual(["InvalidArgument", 400]);
  expect(failure.fields["ArgumentName"]).toMatch(/^x-atoll-(after|wait)$/);
});
