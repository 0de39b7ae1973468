import { describe, expect, test } from "vitest";
import { flagOf, loadSettings, type SettingInput, variableOf } from "./config.ts";
import { LIMITS } from "./core/limits.ts";
import { nearestName, UsageError } from "./core/usage-error.ts";

/** A disk that holds only these files. */
function diskWith(files: Readonly<Record<string, string>>): SettingInput["disk"] {
  return {
    readNamed: async (path) => {
      const content = files[path];
      if (content !== undefined) return Buffer.from(content);
      throw Object.assign(new Error("not there"), { code: "ENOENT" });
    },
  };
}

function load(changes: Partial<SettingInput> & { files?: Record<string, string> } = {}) {
  const { files = {}, ...input } = changes;
  return loadSettings({ flags: {}, environment: {}, disk: diskWith(files), ...input });
}

describe("settings", () => {
  test("have defaults", async () => {
    const { settings, shown } = await load();
    expect(settings).toMatchObject({
      data: `${process.cwd()}/atoll-data`,
      listen: { host: "127.0.0.1", port: 9000 },
      region: "us-east-1",
      domains: [],
      engine: "uws",
      directIo: "auto",
      freeReserveBytes: undefined,
      segmentBytes: 1024 ** 3,
      metricsToken: undefined,
    });
    expect(new Set(shown.map((setting) => setting.source))).toEqual(new Set(["default"]));
  });

  test("come from the file, the environment and the flags, in rising order", async () => {
    const files = {
      "/d/atoll.json": JSON.stringify({
        region: "file-1",
        logLevel: "warn",
        segmentBytes: 2097152,
      }),
    };
    const environment = { ATOLL_DATA: "/d", ATOLL_REGION: "env-1", ATOLL_LOG_LEVEL: "error" };
    const { settings, shown } = await load({ files, environment, flags: { logLevel: "debug" } });
    expect(settings).toMatchObject({ region: "env-1", logLevel: "debug", segmentBytes: 2_097_152 });
    const sources = Object.fromEntries(shown.map(({ name, source }) => [name, source]));
    expect(sources).toMatchObject({
      data: "environment",
      segmentBytes: "file",
      region: "environment",
      logLevel: "flag",
      listen: "default",
    });
  });

  test("give websites a domain of their own, which may lie below one of buckets", async () => {
    const flags = { domains: "s3.example.net,s3.local", websiteDomain: "S3.local" };
    await expect(load({ flags })).rejects.toThrow("websiteDomain a domain of its own");
    const { settings } = await load({ flags: { ...flags, websiteDomain: "web.s3.local" } });
    expect(settings.websiteDomain).toBe("web.s3.local");
  });

  test.each([
    ["berlin.example.net:9000", undefined, 'does not begin with "https://"'],
    ["https://berlin:9000, https://berlin:9000/", undefined, "it has a path"],
    ["http://berlin:9000", undefined, "say insecurePeer too"],
    ["https://berlin:9000", undefined, undefined],
    ["http://berlin:9000,https://berlin:9443", "true", undefined],
  ])("say where peers reach the site: %s (in the clear: %s)", async (text, insecure, says) => {
    const flags = { peerAddresses: text, insecurePeer: insecure };
    const known = await load({ flags }).catch((failure: unknown) => failure);
    if (says === undefined) expect(known).toHaveProperty("settings.peerAddresses");
    else {
      expect(known).toBeInstanceOf(UsageError);
      expect(`${(known as UsageError).message} ${(known as UsageError).hint}`).toContain(says);
    }
  });

  test("a file named by the operator must be there; the one in the data directory need not", async () => {
    await expect(load({ flags: { config: "/no.json" } })).rejects.toThrow(
      "cannot be read (ENOENT)",
    );
    await expect(load({ environment: { ATOLL_CONFIG: "/no.json" } })).rejects.toThrow("/no.json");
    const files = { "/a.json": '{"data": "/elsewhere", "domains": ["S3.Example.org"]}' };
    const { settings } = await load({ files, flags: { config: "/a.json" } });
    expect(settings).toMatchObject({ data: "/elsewhere", domains: ["s3.example.org"] });
  });

  test("of a directory that is closed to this user say whom to be", async () => {
    const disk: SettingInput["disk"] = {
      readNamed: () => Promise.reject(Object.assign(new Error("closed"), { code: "EACCES" })),
    };
    const refused = await load({ disk, flags: { data: "/d" } }).catch(
      (failure: unknown) => failure,
    );
    expect(refused).toMatchObject({
      message: "The settings file /d/atoll.json cannot be read (EACCES).",
      hint: "Run atoll as the user to whom /d belongs.",
    });
  });

  test("in the data directory cannot move the data directory", async () => {
    const files = { "/d/atoll.json": '{"data": "/e"}' };
    await expect(load({ files, flags: { data: "/d" } })).rejects.toThrow("cannot name another one");
  });

  test.each([
    [{ environment: { ATOLL_REGOIN: "x" } }, "Do you mean ATOLL_REGION?"],
    [
      { files: { "/d/atoll.json": '{"lisen": ":9000"}' }, flags: { data: "/d" } },
      "Do you mean listen?",
    ],
    [{ files: { "/d/atoll.json": '{"zzzzzzzz": 1}' }, flags: { data: "/d" } }, "docs/CONFIG.md"],
  ])("with an unknown name are refused with a suggestion: %j", async (input, hint) => {
    const refused = await load(input).catch((failure: unknown) => failure);
    expect(refused).toBeInstanceOf(UsageError);
    expect(refused).toMatchObject({ hint: expect.stringContaining(hint) });
  });

  test("that are secret are shown nowhere, not even when they are wrong", async () => {
    const environment = {
      ATOLL_ROOT_ACCESS_KEY: "admin",
      ATOLL_ROOT_SECRET_KEY: "canary-secret",
      ATOLL_METRICS_TOKEN: "canary-token-0123456789",
    };
    const { shown } = await load({ environment });
    expect(JSON.stringify(shown)).not.toContain("canary");
    expect(shown).toContainEqual({
      name: "rootSecretKey",
      value: "(set, not shown)",
      source: "environment",
    });
    const wrong = load({ environment: { ...environment, ATOLL_METRICS_TOKEN: "canary" } });
    await expect(wrong).rejects.toThrow(
      /^The setting metricsToken from .* cannot be: it has fewer/,
    );
  });

  test("that are secret have no flag", async () => {
    const { settings } = await load({ flags: { metricsToken: "canary-token-0123456789" } });
    expect(settings.metricsToken).toBeUndefined();
  });

  test.each([
    [{ tlsCert: "/c.pem" }, "tlsKey"],
    [{ tlsAuthority: "/a.pem" }, "the certificate that tlsCert names"],
    [{ rootAccessKey: "admin" }, "rootSecretKey"],
    [{ rootAccessKey: "a" }, "3 to 128 letters"],
    [{ listen: "localhost" }, "expected HOST:PORT"],
    [{ listen: "127.0.0.1:70000" }, "expected HOST:PORT"],
    [{ segmentBytes: "5GiB" }, "beyond 4GiB"],
    [{ segmentBytes: "1 parsec" }, "expected a size"],
    [{ freeReserveBytes: "much" }, "expected a size"],
    [{ engine: "apache" }, 'expected one of "uws"|"node"'],
    [{ domains: "a.example,b c" }, "b c is not a host name"],
    [{ drainSeconds: "soon" }, "expected a number"],
    [{ drainSeconds: "" }, "it is empty"],
    [{ drainSeconds: "0x10" }, "expected a number"],
    [{ drainSeconds: "3601" }, "<=3600"],
    [{ requestsPerAddress: " " }, "it is empty"],
    [{ requestsPerKey: "1.5" }, "expected int"],
    [{ peerBandwidth: "fast" }, "expected a size such as 10MiB, or 1MiB@08:00-18:00,20MiB"],
    [{ peerBandwidth: "1MiB@8" }, "expected a size"],
    [{ peerBandwidth: "1MiB@8-9@10-11" }, "expected a size"],
    [{ peerBandwidth: "100" }, "below 1024 bytes"],
    [{ peerBandwidth: "1MiB,2MiB@8-9" }, "is never used"],
    [{ clockDriftMax: "5" }, "expected a time such as 500ms, 5s, 12h or 30d"],
    [{ clockDriftMax: "99ms" }, "it is below 100ms"],
    [{ clockDriftMax: "1h" }, "it is beyond 15m"],
    [{ conflictRetention: "a month" }, "expected a time"],
    [{ historyRetention: "-7d" }, "expected a time"],
    [{ peerRetention: "59m" }, "it is below 1h"],
  ])("that cannot be are refused in one sentence: %j", async (flags, says) => {
    await expect(load({ flags })).rejects.toThrow(says);
  });

  test.each([
    ["drainSeconds", "null"],
    ["drainSeconds", "[]"],
    ["requestsPerAddress", "false"],
    ["failuresPerKey", "null"],
  ])("a number in the file is one: %s cannot be %s", async (name, value) => {
    const files = { "/d/atoll.json": `{"${name}": ${value}}` };
    await expect(load({ files, flags: { data: "/d" } })).rejects.toThrow(`The setting ${name}`);
  });

  test("numbers may be written as numbers or as text", async () => {
    const files = { "/d/atoll.json": '{"drainSeconds": 2.5, "requestsPerKey": "7"}' };
    const { settings } = await load({ files, flags: { data: "/d", requestsPerAddress: "0" } });
    expect(settings).toMatchObject({ drainSeconds: 2.5, requestsPerKey: 7, requestsPerAddress: 0 });
  });

  test("an empty variable names no settings file", async () => {
    const { settings } = await load({ environment: { ATOLL_CONFIG: "", ATOLL_REGION: "" } });
    expect(settings.region).toBe("us-east-1");
  });

  test.each([
    ["9000", "127.0.0.1", 9000],
    [":8080", "::", 8080],
    ["[::1]:0", "::1", 0],
    ["s3.local:443", "s3.local", 443],
  ])("listen %s means host %s and port %i", async (listen, host, port) => {
    expect((await load({ flags: { listen } })).settings.listen).toEqual({ host, port });
  });

  test.each([
    ["none", [{ bytesPerSecond: undefined, hours: undefined }]],
    ["10MiB", [{ bytesPerSecond: 10_485_760, hours: undefined }]],
    [
      "1KiB@08:00-18:00, none@22-6 ,2KiB",
      [
        { bytesPerSecond: 1024, hours: { fromMinute: 480, untilMinute: 1080 } },
        { bytesPerSecond: undefined, hours: { fromMinute: 1320, untilMinute: 360 } },
        { bytesPerSecond: 2048, hours: undefined },
      ],
    ],
  ])("a bandwidth of %s is a plan of the day", async (peerBandwidth, plan) => {
    expect((await load({ flags: { peerBandwidth } })).settings.peerBandwidth).toEqual(plan);
  });

  test.each([
    ["250ms", 250],
    ["1.5s", 1500],
    ["2 m", 120_000],
    ["15M", 900_000],
  ])("a time of %s is %i milliseconds", async (clockDriftMax, ms) => {
    expect((await load({ flags: { clockDriftMax } })).settings.clockDriftMax).toBe(ms);
  });

  test("of time are, if nobody says otherwise, what the limits are", async () => {
    const { settings } = await load();
    expect(settings).toMatchObject({
      clockDriftMax: LIMITS.clockDriftMsMax,
      conflictRetention: LIMITS.conflictRetentionMs,
      historyRetention: LIMITS.historyRetentionMs,
      peerRetention: LIMITS.peerRetentionMs,
    });
  });

  test("know their flags and variables", () => {
    expect([flagOf("logLevel"), variableOf("logLevel")]).toEqual(["log-level", "ATOLL_LOG_LEVEL"]);
    expect(flagOf("domains")).toBe("domain");
  });
});

test("only a near name is suggested", () => {
  expect(nearestName("Regoin", ["region", "listen"])).toBe("region");
  expect(nearestName("abcdef", ["region", "listen"])).toBeUndefined();
});
