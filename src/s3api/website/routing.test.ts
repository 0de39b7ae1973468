import { expect, test } from "vitest";
import type { Redirect, Website } from "../settings/website.ts";
import { pageKey, redirectAll, redirectByRules } from "./routing.ts";

type Pages = Extract<Website, { kind: "pages" }>;

const NOWHERE: Redirect = {
  protocol: undefined,
  hostName: undefined,
  replace: undefined,
  status: undefined,
};
const PAGES: Pages = { kind: "pages", indexSuffix: "index.html", errorKey: undefined, rules: [] };

function locationFor(
  redirect: Partial<Redirect>,
  key: string,
  condition: { keyPrefix?: string; errorStatus?: number } = {},
): string | undefined {
  const { keyPrefix, errorStatus } = condition;
  const rules = [{ keyPrefix, errorStatus, redirect: { ...NOWHERE, ...redirect } }];
  const request = { key, protocol: "http", host: "site.test:9000" } as const;
  const found = redirectByRules({ ...PAGES, rules }, request, errorStatus);
  return found === undefined ? undefined : `${found.status} ${found.location}`;
}

test.each([
  ["", "index.html"],
  ["docs/", "docs/index.html"],
  ["docs", "docs"],
  ["docs/a.html", "docs/a.html"],
])("the page of %j is %j", (key, page) => {
  expect(pageKey(PAGES, key)).toBe(page);
});

test("a prefix is replaced, and the rest of the key stays", () => {
  const replace = { kind: "prefix", text: "documents/" } as const;
  const condition = { keyPrefix: "docs/" };
  expect(locationFor({ replace }, "docs/a b?.html", condition)).toBe(
    "301 http://site.test:9000/documents/a%20b%3F.html",
  );
  expect(locationFor({ replace }, "images/a", condition)).toBeUndefined();
});

test("a replacement may be a query or a fragment, and nothing can end the header", () => {
  const replace = { kind: "prefix", text: "resize?key=" } as const;
  expect(locationFor({ replace }, "\r\nx: y", { errorStatus: 404 })).toBe(
    "301 http://site.test:9000/resize?key=%0D%0Ax:%20y",
  );
  const spaced = { kind: "key", text: "a b\n" } as const;
  expect(locationFor({ replace: spaced }, "k")).toBe("301 http://site.test:9000/a%20b%0A");
});

test("protocol, host and status are as the rule has them", () => {
  const redirect = { protocol: "https", hostName: "other.test", status: 302 } as const;
  expect(locationFor(redirect, "k")).toBe("302 https://other.test/k");
});

test("rules about errors wait for the error", () => {
  const rules = [{ keyPrefix: undefined, errorStatus: 404, redirect: NOWHERE }];
  const request = { key: "k", protocol: "https", host: "site.test" } as const;
  expect(redirectByRules({ ...PAGES, rules }, request)).toBeUndefined();
  expect(redirectByRules({ ...PAGES, rules }, request, 403)).toBeUndefined();
  expect(redirectByRules({ ...PAGES, rules }, request, 404)).toEqual({
    status: 301,
    location: "https://site.test/k",
  });
});

test("everything is sent on to another host, with its path", () => {
  const website = { kind: "redirect-all", hostName: "other.test", protocol: undefined } as const;
  const request = { key: "a/b c", protocol: "https", host: "site.test" } as const;
  expect(redirectAll(website, request)).toEqual({
    status: 301,
    location: "https://other.test/a/b%20c",
  });
});
