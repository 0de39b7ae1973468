import { BODY_MUTATIONS } from "./body-mutations.ts";
import { HEAD_MUTATIONS } from "./head-mutations.ts";
import type { Mutation } from "./mutation.ts";

/** Every way of being wrong. Each must be refused on every route where it applies. */
export const MUTATIONS: readonly Mutation[] = [...HEAD_MUTATIONS, ...BODY_MUTATIONS];
