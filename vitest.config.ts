import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { hangingFiles } from "./test/support/hanging-files.ts";

// Guards against hanging are generous on purpose: timing never decides a test.
const guards = {
  testTimeout: 120_000,
  hookTimeout: 300_000,
  // Packages are imported as Node imports them, or the tests would run another program.
  deps: { interopDefault: false },
  globalSetup: ["test/support/temporary-root.ts"],
};

export default defineConfig({
  test: {
    // Vitest leaves one core to whoever watches; nobody does here.
    maxWorkers: Math.max(2, availableParallelism()),
    // Simulations and loops of kills take the longest, ten minutes; runs by hand may want more.
    reporters: ["default", hangingFiles(Number(process.env["HANGING_MINUTES"] ?? 25))],
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "test/contract/*.test.ts", "test/*.test.ts"],
          ...guards,
        },
      },
      {
        test: {
          name: "security",
          include: ["test/security/**/*.test.ts"],
          ...guards,
          testTimeout: 600_000,
        },
      },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], ...guards } },
      {
        test: {
          name: "sim",
          include: ["test/sim/**/*.test.ts"],
          ...guards,
          // What test/sim/bundled.ts makes is run as it is.
          server: { deps: { external: [/\/\.cache\/sim\//] } },
          testTimeout: 1_200_000,
        },
      },
      {
        test: {
          name: "crash",
          include: ["test/crash/**/*.test.ts"],
          ...guards,
          testTimeout: 1_200_000,
        },
      },
      {
        test: {
          name: "clients",
          include: ["test/clients/**/*.test.ts"],
          ...guards,
          testTimeout: 900_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
