import { test } from "vitest";
import { provePowerLoss } from "./power-loss.ts";
import { createInlineHash } from "./sim-hash.ts";

// Two files of one half each, so that two cores share the work.
test("no power cut and no kill loses or tears anything acknowledged, in 2,500 schedules", async () => {
  await provePowerLoss(await createInlineHash(), 0, 2_500);
});
