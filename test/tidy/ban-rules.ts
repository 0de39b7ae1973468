import { basename } from "node:path";
import {
  childrenOf,
  isProduct,
  nameOf,
  nodeAt,
  placeOf,
  type SourceFile,
  type SyntaxNode,
} from "./source-file.ts";

type Ban = {
  /** Says what is wrong, or undefined when this node is no offence. */
  readonly offence: (node: SyntaxNode, file: SourceFile) => string | undefined;
  /** Files the ban does not cover. */
  readonly except: (path: string) => boolean;
  readonly instead: string;
};

/** "process.env" for a plain chain of names; undefined for anything else. */
function chainOf(node: SyntaxNode | undefined): string | undefined {
  if (node === undefined) return undefined;
  if (node.type === "ChainExpression") return chainOf(nodeAt(node, "expression"));
  if (node.type === "Identifier") return nameOf(node);
  if (node.type !== "MemberExpression") return undefined;
  const object = chainOf(nodeAt(node, "object"));
  const property = nodeAt(node, "property");
  const literal = node["computed"] === true ? property?.type === "Literal" : true;
  const name = literal ? nameOf(property) : undefined;
  return object === undefined || name === undefined ? undefined : `${object}.${name}`;
}

function calls(node: SyntaxNode, names: readonly string[]): string | undefined {
  if (node.type !== "CallExpression") return undefined;
  const chain = chainOf(nodeAt(node, "callee"))?.replace(/^globalThis\./, "");
  return chain !== undefined && names.includes(chain) ? `${chain}(…)` : undefined;
}

function count(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

/** The name itself, or an import of it (so that renaming does not hide it). */
function importsName(node: SyntaxNode, names: readonly string[]): string | undefined {
  if (node.type !== "ImportSpecifier") return undefined;
  const name = nameOf(nodeAt(node, "imported"));
  return name !== undefined && names.includes(name) ? `an import of ${name}` : undefined;
}

const TIMERS = ["setTimeout", "setInterval"];
const RANDOM = ["randomUUID", "randomBytes", "randomInt", "randomFillSync", "getRandomValues"];
const TEST_NAMES = /^(test|it|describe|suite|bench|context|task)\b/;
const TEST_ESCAPES = /\.(only|skip|skipIf|runIf|todo|fails)(\.|$)/;

const inFile =
  (pattern: RegExp) =>
  (path: string): boolean =>
    !isProduct(path) || pattern.test(path);
const nowhere = (): boolean => false;

const BANS: readonly Ban[] = [
  {
    offence: (node) => {
      if (node.type === "NewExpression" && chainOf(nodeAt(node, "callee")) === "Date") {
        return count(node["arguments"]) === 0 ? "new Date()" : undefined;
      }
      return (
        calls(node, ["Date", "Date.now", "performance.now", "process.hrtime", ...TIMERS]) ??
        calls(node, ["process.hrtime.bigint"]) ??
        importsName(node, [...TIMERS, "performance"])
      );
    },
    except: inFile(/^src\/ports\/system-clock\.ts$/),
    instead: "take the Clock port",
  },
  {
    offence: (node) =>
      calls(node, ["Math.random", ...RANDOM]) ??
      calls(
        node,
        RANDOM.map((name) => `crypto.${name}`),
      ) ??
      importsName(node, RANDOM),
    except: inFile(/^src\/ports\/crypto-random\.ts$/),
    instead: "take the Random port",
  },
  {
    offence: (node) => calls(node, ["fetch"]),
    except: inFile(/^src\/ports\/[a-z]+-network\.ts$/),
    instead: "take the Network port",
  },
  {
    offence: (node) => {
      if (node.type !== "ImportDeclaration") return undefined;
      const name = nameOf(nodeAt(node, "source"));
      return name !== undefined && /^node:fs\b/.test(name) ? `an import of ${name}` : undefined;
    },
    except: inFile(/^src\/ports\/(node-disk|kv-lmdb|process-facts|descriptor-sink)\.ts$/),
    instead: "take the Disk port",
  },
  {
    offence: (node) =>
      node.type === "MemberExpression" && chainOf(node) === "process.env"
        ? "process.env"
        : importsName(node, ["env"]),
    except: inFile(/^src\/config\.ts$/),
    instead: "add a setting to src/config.ts",
  },
  {
    offence: (node) =>
      node.type === "MemberExpression" && chainOf(nodeAt(node, "object")) === "console"
        ? chainOf(node)
        : undefined,
    except: inFile(/^src\/tools\/output\.ts$/),
    instead: "use the Log port, or src/tools/output.ts for the operator's eyes",
  },
  {
    offence: (node) => (node.type === "TSEnumDeclaration" ? "an enum" : undefined),
    except: nowhere,
    instead: "write a union of strings, or a table `as const`",
  },
  {
    offence: (node) => (node.type === "TSModuleDeclaration" ? "a namespace" : undefined),
    except: nowhere,
    instead: "write a module of its own",
  },
  {
    offence: (node) => (node.type === "ExportDefaultDeclaration" ? "export default" : undefined),
    except: (path) => path === "vitest.config.ts",
    instead: "export it by its name",
  },
  {
    offence: (node) => (node.type === "ExportAllDeclaration" ? "export *" : undefined),
    except: nowhere,
    instead: "name what is exported",
  },
  {
    offence: (node, file) => {
      if (node.type !== "CallExpression") return undefined;
      const chain = chainOf(nodeAt(node, "callee")) ?? chainOf(calleeOfCallee(node));
      if (chain === undefined || !TEST_ESCAPES.test(chain)) return undefined;
      return TEST_NAMES.test(chain) || file.path.endsWith(".test.ts") ? `${chain}(…)` : undefined;
    },
    except: nowhere,
    instead: "finish the test or delete it",
  },
];

/** For `test.skip.each(…)(…)`, which calls what a call gave back. */
function calleeOfCallee(node: SyntaxNode): SyntaxNode | undefined {
  const inner = nodeAt(node, "callee");
  return inner?.type === "CallExpression" ? nodeAt(inner, "callee") : undefined;
}

/** What the ban list of the design forbids, each with what to do instead. */
export function checkBans(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const bans = BANS.filter((ban) => !ban.except(file.path));
    return file.nodes.flatMap((node) =>
      bans.flatMap((ban) => {
        const offence = ban.offence(node, file);
        return offence === undefined
          ? []
          : [`${placeOf(file, node.start)} has ${offence}: ${ban.instead}.`];
      }),
    );
  });
}

const UNFINISHED = /\b(FIXME|TODO|XXX)\b/;
const SILENCED = /\b(biome-ignore|@ts-ignore|@ts-nocheck|@ts-expect-error|eslint-disable)\b/;

/** Comments that put work off or silence a checker. */
export function checkComments(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    file.comments.flatMap((comment) => {
      const place = placeOf(file, comment.start);
      const unfinished = UNFINISHED.exec(comment.value)?.[0];
      const silenced = SILENCED.exec(comment.value)?.[0];
      return [
        ...(unfinished === undefined ? [] : [`${place} says ${unfinished}: finish it.`]),
        ...(silenced === undefined ? [] : [`${place} has ${silenced}: mend what it silences.`]),
      ];
    }),
  );
}

/** A doc comment describes what stands right below it: one over another one describes nothing. */
export function checkCommentPlaces(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) =>
    file.comments.flatMap((comment) => {
      const isDoc = comment.type === "Block" && comment.value.startsWith("*");
      if (!isDoc || !/^\s*(\/\*\*|\n\s*\n|$)/.test(file.text.slice(comment.end))) return [];
      return [`${placeOf(file, comment.start)} describes nothing: move it to what it is about.`];
    }),
  );
}

const EMPTY_NAMES = /(^|[-.])(utils?|helpers?|commons?|types?|misc)$/;

/** File and folder names that say nothing. */
export function checkFileNames(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const parts = file.path.split("/");
    const stems = [...parts.slice(0, -1), basename(file.path).replace(/(\.test)?\.[a-z]+$/, "")];
    const empty = stems.find((stem) => EMPTY_NAMES.test(stem));
    return empty === undefined
      ? []
      : [`${file.path} is named "${empty}": name it after the thing it holds.`];
  });
}

/** Brands that core declares: `type Name = Brand<…>`. */
function brandNames(files: readonly SourceFile[]): Set<string> {
  const names = new Set<string>();
  for (const file of files) {
    if (!file.path.startsWith("src/core/")) continue;
    for (const node of file.nodes) {
      if (node.type !== "TSTypeAliasDeclaration") continue;
      const type = nodeAt(node, "typeAnnotation");
      const name = nameOf(nodeAt(node, "id"));
      if (name !== undefined && nameOf(nodeAt(type, "typeName")) === "Brand") names.add(name);
    }
  }
  return names;
}

function mentionsBrand(type: SyntaxNode, brands: ReadonlySet<string>): string | undefined {
  if (type.type === "TSTypeReference") {
    const name = nameOf(nodeAt(type, "typeName"));
    if (name !== undefined && brands.has(name)) return name;
  }
  for (const child of childrenOf(type)) {
    const found = mentionsBrand(child, brands);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Only core makes values of a brand; everyone else calls its `parse…` function. */
export function checkBrandCasts(files: readonly SourceFile[]): string[] {
  const brands = brandNames(files);
  return files.flatMap((file) => {
    if (!isProduct(file.path) || file.path.startsWith("src/core/")) return [];
    return file.nodes.flatMap((node) => {
      if (node.type !== "TSAsExpression" && node.type !== "TSTypeAssertion") return [];
      const type = nodeAt(node, "typeAnnotation");
      const brand = type === undefined ? undefined : mentionsBrand(type, brands);
      return brand === undefined
        ? []
        : [`${placeOf(file, node.start)} casts to ${brand}: call core's parse function for it.`];
    });
  });
}
