import fc from "fast-check";

/** Replays, or looks further than CI does: `SEED=random`, or the seed that a failure printed. */
const { SEED } = process.env;

// CI must say the same of the same code twice, so what is drawn is fixed unless one asks.
if (SEED !== "random") fc.configureGlobal({ seed: Number(SEED ?? 20_261_121) });

export { fc };
