import { afterAll, beforeAll, expect } from "vitest";
import type { FakeAnswer } from "./fake-exchange.ts";
import { openS3Site, type S3Site, type SignedRequest } from "./s3-site.ts";

export type S3Suite = {
  readonly site: () => S3Site;
  /** A bucket that no other test has, by its name. */
  readonly makeBucket: (headers?: Readonly<Record<string, string>>) => Promise<string>;
  /** Asks, and shows the error when the answer is another one. */
  readonly expectStatus: (request: SignedRequest, status: number) => Promise<FakeAnswer>;
  /** Status and code of the answer. */
  readonly refusal: (request: SignedRequest) => Promise<string>;
};

/** One site for all tests of a file. */
export function useS3Site(): S3Suite {
  let opened: S3Site;
  let buckets = 0;

  beforeAll(async () => {
    opened = await openS3Site();
  });
  afterAll(() => opened.close());

  const expectStatus: S3Suite["expectStatus"] = async (request, status) => {
    const answer = await opened.ask(request);
    expect([answer.status, answer.status === status ? "" : String(answer.body)]).toEqual([
      status,
      "",
    ]);
    return answer;
  };
  return {
    site: () => opened,
    makeBucket: async (headers = {}) => {
      const name = `bucket-${++buckets}`;
      await expectStatus({ method: "PUT", path: `/${name}`, headers }, 200);
      return name;
    },
    expectStatus,
    refusal: async (request) => {
      const answer = await opened.ask(request);
      return `${answer.status} ${element(answer, "Code") ?? ""}`.trim();
    },
  };
}

/** The text of the first element of a name in an answer. */
export function element(answer: FakeAnswer, name: string): string | undefined {
  return elements(answer, name)[0];
}

/** The texts of all elements of a name in an answer. */
export function elements(answer: FakeAnswer, name: string): string[] {
  return [...String(answer.body).matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, "g"))].map(
    (match) => match[1] ?? "",
  );
}
