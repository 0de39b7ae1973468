import { describe, expect, test } from "vitest";
import { headersOf } from "../../../test/support/headers.ts";
import type { Exchange } from "../../http/exchange.ts";
import { S3Error } from "../errors.ts";
import { addressGroup, type GuardSettings, NO_GUARD, RequestGuard } from "./request-guard.ts";
import { Seats } from "./seats.ts";

const SETTINGS: GuardSettings = {
  requestsPerAddress: 2,
  requestsPerKey: 3,
  failuresPerAddress: 3,
  failuresPerKey: 4,
};
const BAD_SIGNATURE = new S3Error("SignatureDoesNotMatch", { fields: { AWSAccessKeyId: "KEY1" } });
const UNKNOWN_KEY = new S3Error("InvalidAccessKeyId", { fields: { AWSAccessKeyId: "NOBODY" } });

function guardAt(settings = SETTINGS) {
  const clock = { nowMs: 0 };
  return { clock, guard: new RequestGuard(settings, () => clock.nowMs) };
}

function from(remoteAddress: string, key = "KEY1"): Exchange {
  const authorization = `AWS4-HMAC-SHA256 Credential=${key}/20261121/r/s3/aws4_request, Signature=0`;
  const headers = headersOf([["authorization", authorization]]);
  return { remoteAddress, target: "/b/k", headers } as Exchange;
}

function refusalOf(step: () => unknown): string {
  try {
    step();
    return "let in";
  } catch (failure) {
    if (!(failure instanceof S3Error)) throw failure;
    return `${failure.code} ${failure.headers?.map((line) => line.join(": "))}`;
  }
}

describe("requests under way", () => {
  test("of one address are bounded, and a seat that is left is free again", () => {
    const { guard } = guardAt();
    const first = guard.admit(from("192.0.2.1"));
    guard.admit(from("192.0.2.1"));
    expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("SlowDown Retry-After: 1");
    expect(refusalOf(() => guard.admit(from("192.0.2.2")))).toBe("let in");
    first.leave();
    expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("let in");
  });

  test("of one key are bounded over all addresses", () => {
    const { guard } = guardAt();
    const seatings = [1, 2, 3].map((last) => guard.admit(from(`192.0.2.${last}`)));
    for (const seating of seatings) seating.signedBy("KEY1");
    const fourth = guard.admit(from("192.0.2.4"));
    expect(refusalOf(() => fourth.signedBy("KEY1"))).toBe("SlowDown Retry-After: 1");
    expect(refusalOf(() => fourth.signedBy("KEY2"))).toBe("let in");
    for (const seating of seatings) seating.leave();
    expect(refusalOf(() => guard.admit(from("192.0.2.5")).signedBy("KEY1"))).toBe("let in");
  });

  test("of this machine are not counted: it may be a proxy for everybody", () => {
    const { guard } = guardAt();
    for (const address of ["127.0.0.1", "::1"]) {
      for (let round = 0; round < 10; round++) {
        const seating = guard.admit(from(address));
        seating.signedBy("KEY1");
        seating.failed(BAD_SIGNATURE);
      }
      expect(refusalOf(() => guard.admit(from(address)))).toBe("let in");
    }
  });

  test("leave no names behind beyond a bound", () => {
    const seats = new Seats(1);
    for (let name = 0; name < 5000; name++) {
      const seat = seats.take(String(name));
      if (seat !== undefined) seats.leave(seat);
    }
    expect(seats.size).toBeLessThanOrEqual(1024);
  });
});

describe("failed authentications", () => {
  test("[S20] [N17] of one address are bounded, and time forgives them", () => {
    const { guard, clock } = guardAt();
    for (let round = 0; round < 3; round++) {
      const seating = guard.admit(from("192.0.2.1"));
      seating.failed(UNKNOWN_KEY);
      seating.leave();
    }
    // A right signature would not help either, or this would be the guess that counts.
    expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("SlowDown Retry-After: 20");
    expect(refusalOf(() => guard.admit(from("192.0.2.2")))).toBe("let in");
    clock.nowMs += 20_000;
    expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("let in");
  });

  test("[N17] of one key slow down those who failed, and nobody else", () => {
    const { guard } = guardAt();
    for (const last of [1, 2, 3, 4]) {
      const seating = guard.admit(from(`192.0.2.${last}`));
      seating.failed(BAD_SIGNATURE);
      seating.leave();
    }
    expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("SlowDown Retry-After: 15");
    expect(refusalOf(() => guard.admit(from("192.0.2.1", "KEY2")))).toBe("let in");
    expect(refusalOf(() => guard.admit(from("192.0.2.9")))).toBe("let in");
    const presigned = { ...from("192.0.2.2"), headers: headersOf([]) } as Exchange;
    const target = "/b/k?X-Amz-Credential=KEY1%2F20261121%2Fr%2Fs3%2Faws4_request";
    expect(refusalOf(() => guard.admit({ ...presigned, target } as Exchange))).toContain(
      "SlowDown",
    );
  });

  test("are only wrong signatures and unknown keys, not what an honest client meets", () => {
    const { guard } = guardAt();
    for (const code of ["AccessDenied", "NoSuchKey", "RequestTimeTooSkewed"] as const) {
      for (let round = 0; round < 10; round++) {
        const seating = guard.admit(from("192.0.2.1"));
        seating.failed(new S3Error(code));
        seating.leave();
      }
    }
    const late = guard.admit(from("192.0.2.1"));
    late.signedBy("KEY1");
    // A chunk with a wrong signature, behind a head whose signature was right.
    for (let round = 0; round < 10; round++) late.failed(BAD_SIGNATURE);
    expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("let in");
  });

  test("are counted for the 64 bits that one customer of IPv6 has", () => {
    const { guard } = guardAt();
    for (const last of ["1", "2", "3"]) {
      const seating = guard.admit(from(`2001:db8:0:1::${last}`));
      seating.failed(UNKNOWN_KEY);
      seating.leave();
    }
    expect(refusalOf(() => guard.admit(from("2001:db8:0:1:ffff::9")))).toContain("SlowDown");
    expect(refusalOf(() => guard.admit(from("2001:db8:0:2::1")))).toBe("let in");
  });
});

test("limits of 0 are no limits", () => {
  const { guard } = guardAt(NO_GUARD);
  for (let round = 0; round < 1000; round++) {
    const seating = guard.admit(from("192.0.2.1"));
    seating.signedBy("KEY1");
    guard.admit(from("192.0.2.1")).failed(BAD_SIGNATURE);
  }
  expect(refusalOf(() => guard.admit(from("192.0.2.1")))).toBe("let in");
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
  ["2001:db8::1", "2001:db8:0:0"],
  ["fe80::", "fe80:0:0:0"],
  ["::2", "0:0:0:0"],
  ["1::3:4:5:6:7:8", "1:0:3:4"],
])("the address %s counts as %s", (address, group) => {
  expect(addressGroup(address)).toBe(group);
});
