import { describe, expect, test } from "vitest";
import { parseBucketName, parseOriginId, parseSiteId } from "../core/names.ts";
import type { MemberSite } from "../core/site-record.ts";
import { required } from "../core/tagged-fields.ts";
import type { AdminAnswer } from "./admin-call.ts";
import { routeSites, SITES_PATH, type SitesDesk } from "./admin-sites.ts";

const [OWN, OTHER] = ["a", "b"].map((digit) => required(parseSiteId(digit.repeat(16)), "site"));
const ORIGIN = required(parseOriginId("1".repeat(16)), "origin");
const PHOTOS = required(parseBucketName("photos"), "bucket");

function siteOf(id: MemberSite["id"] | undefined, name: string): MemberSite {
  return {
    ...{ id: required(id, "site"), name, publicKey: "c4".repeat(32), featureLevel: 1 },
    addresses: [`https://${name}.example.net:9000`],
    ...{ certificates: [], insecure: false, state: "active" },
    ...{ origins: [ORIGIN], removedOrigins: [] },
  };
}

const PARIS: MemberSite = { ...siteOf(OTHER, "paris"), state: "removed", removedOrigins: [ORIGIN] };

function deskWith(changes: Partial<SitesDesk> = {}): SitesDesk {
  return {
    ownId: OWN ?? "",
    clusterId: () => "41".repeat(16),
    sites: () => [siteOf(OWN, "berlin"), PARIS],
    invite: async () => ({ outcome: "invited", token: "atoll-join-1.AAAA", expiresMs: 0 }),
    join: async () => ({
      outcome: "joined",
      peer: "berlin",
      resealed: 3,
      unreadable: 0,
      takesOver: true,
    }),
    remove: async () => ({ outcome: "removed", site: PARIS, homes: [PHOTOS] }),
    refusals: () =>
      new Map([
        ["replayed", 2],
        ["clock", 1],
      ]),
    ...changes,
  };
}

async function ask(
  method: string,
  name: string,
  body?: unknown,
  desk = deskWith(),
): Promise<AdminAnswer> {
  return routeSites(desk, { method, path: SITES_PATH + name, body });
}

describe("the administration of sites", () => {
  test("answers as the golden file has it", async () => {
    const answers = {
      list: await ask("GET", ""),
      invite: await ask("POST", "/invite", { addresses: ["https://berlin:9000"] }),
      join: await ask("POST", "/join", { token: "atoll-join-1.AAAA" }),
      remove: await ask("DELETE", "/paris"),
    };
    const text = `${JSON.stringify(answers, undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot("../../test/golden/control/sites.json");
  });

  test("knows no site whose name has a broken escape", async () => {
    const removed: string[] = [];
    const desk = deskWith({
      remove: async (name) => {
        removed.push(name);
        return { outcome: "refused", message: "There is no such site." };
      },
    });
    expect((await ask("DELETE", "/%E0%A4", undefined, desk)).status).toBe(404);
    expect((await ask("DELETE", "/new%20york", undefined, desk)).status).toBe(404);
    expect(removed).toEqual(["new york"]);
  });

  test("hands over what was asked, with a day for a token unless it is said", async () => {
    const asked: unknown[] = [];
    const desk = deskWith({
      invite: async (...given) => {
        asked.push(given);
        return { outcome: "refused", message: "no" };
      },
    });
    const wish = { addresses: ["https://berlin:9000"], insecure: true };
    expect(await ask("POST", "/invite", wish, desk)).toMatchObject({ status: 409 });
    await ask("POST", "/invite", { ...wish, hours: 0.5 }, desk);
    expect(asked).toEqual([
      [wish, 24 * 3600 * 1000],
      [wish, 1800 * 1000],
    ]);
  });

  test.each([
    ["POST", "/invite", { hours: 0 }, 400],
    ["POST", "/invite", { hours: 1000 }, 400],
    ["POST", "/invite", { addresses: "https://x" }, 400],
    ["POST", "/invite", { addresses: [], surprise: 1 }, 400],
    ["POST", "/join", {}, 400],
    ["POST", "/join", { token: 7 }, 400],
    ["POST", "", {}, 405],
    ["PUT", "/paris", {}, 405],
    ["DELETE", "", undefined, 405],
  ])("refuses %s %s %j", async (method, name, body, status) => {
    expect((await ask(method, name, body)).status).toBe(status);
  });

  test("says why a site does not join and none is removed", async () => {
    const refused = async () => ({ outcome: "refused", message: "Not so." }) as const;
    const desk = deskWith({ join: refused, remove: refused });
    const joined = await ask("POST", "/join", { token: "x" }, desk);
    expect(joined).toMatchObject({ status: 409, body: { error: { message: "Not so." } } });
    expect(await ask("DELETE", "/rome", undefined, desk)).toMatchObject({ status: 404 });
  });
});
