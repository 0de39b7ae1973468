import { readFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

const MINUTE_MS = 60_000;

/**
 * Ends a run in which a test file does not end. The time limits of tests cannot do that when a
 * loop never lets go of its thread, and then CI would say nothing but that it took too long.
 */
export function hangingFiles(limitMinutes: number): Reporter {
  const guards = new Map<string, NodeJS.Timeout>();
  return {
    onTestModuleStart({ moduleId }: TestModule) {
      const end = () => {
        process.stderr.write(`${moduleId} did not end within ${limitMinutes} minutes.\n`);
        for (const child of children()) process.kill(child, "SIGKILL");
        process.exit(1);
      };
      guards.set(moduleId, setTimeout(end, limitMinutes * MINUTE_MS));
    },
    onTestModuleEnd({ moduleId }: TestModule) {
      clearTimeout(guards.get(moduleId));
      guards.delete(moduleId);
    },
  };
}

/** The processes that run test files, as Linux tells them: one in a loop hears no other signal. */
function children(): number[] {
  const file = `/proc/self/task/${process.pid}/children`;
  return readFileSync(file, "utf8").split(" ").filter(Boolean).map(Number);
}
