import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { createProcessFacts } from "./process-facts.ts";

describe("the facts of this process", () => {
  const facts = createProcessFacts();

  test("say that it lives, and that a former owner of its pid does not", () => {
    expect(facts.isAlive(facts.self)).toBe(true);
    expect(facts.isAlive({ ...facts.self, startedAt: "1" })).toBe(
      facts.self.startedAt === undefined,
    );
    expect(facts.isAlive({ ...facts.self, bootId: "another boot" })).toBe(
      facts.self.bootId === undefined,
    );
    expect(facts.isAlive({ ...facts.self, pid: 0 })).toBe(false);
  });

  test("say that a child that has ended is gone", async () => {
    const child = spawn(process.execPath, ["-e", ""]);
    const pid = child.pid ?? 0;
    await once(child, "exit");
    expect(facts.isAlive({ pid, startedAt: undefined, bootId: undefined })).toBe(false);
  });

  test("say that one that has ended is gone, though its parent never asks", async () => {
    // exec puts a program in the shell's place that knows nothing of the shell's child, which lives
    // until then: a shell that saw it end would ask for it.
    const parent = spawn("sh", ["-c", "sleep 2 & echo $!; exec sleep 100"]);
    try {
      const [said] = await once(parent.stdout, "data");
      const child = { pid: Number(String(said)), startedAt: undefined, bootId: undefined };
      // Elsewhere nothing tells.
      const isLinux = process.platform === "linux";
      await expect.poll(() => facts.isAlive(child), { timeout: 60_000 }).toBe(!isLinux);
      expect(() => process.kill(child.pid, 0)).not.toThrow();
    } finally {
      parent.kill("SIGKILL");
    }
  });

  test("tell sizes in plausible units", () => {
    expect(facts.rssBytes()).toBeGreaterThan(10 * 1024 * 1024);
    expect(facts.openFiles()).toBeGreaterThan(2);
    expect(facts.eventLoopDelayP99Ms()).toBeGreaterThanOrEqual(0);
  });

  test("tell the size that was seen last when no descriptor is left to look", () => {
    const seen = facts.rssBytes();
    const look = vi.spyOn(process.memoryUsage, "rss").mockImplementation(() => {
      throw Object.assign(new Error("too many open files"), { code });
    });
    let code = "EMFILE";
    try {
      expect(facts.rssBytes()).toBe(seen);
      code = "EIO";
      expect(() => facts.rssBytes()).toThrow("too many open files");
    } finally {
      look.mockRestore();
    }
  });

  test("tell everybody who asks that the event loop stood still", async () => {
    const until = performance.now() + 500;
    while (performance.now() < until);
    // It is noticed at the next look of the watch, and told to the second one who asks as well.
    await expect.poll(() => facts.eventLoopDelayP99Ms(), { timeout: 60_000 }).toBeGreaterThan(200);
    expect(facts.eventLoopDelayP99Ms()).toBeGreaterThan(200);
  });

  test("tell mounts apart", () => {
    expect(facts.mountOf("/proc/self")).toBe(facts.mountOf("/proc"));
    if (process.platform === "linux") expect(facts.mountOf("/proc")).not.toBe(facts.mountOf("/"));
  });
});
