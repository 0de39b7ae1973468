import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { rolldown } from "rolldown";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/**
 * Loads a module of ours, with all that it imports, as one file of plain JavaScript that Node runs
 * by itself. Vitest gives each module a function and looks every import up in a table whenever it is
 * used: simulations, which do nothing but compute, take an eighth more time that way.
 *
 * @param entry path of the module, from the root of the project.
 * @param standIns modules to take in place of others: ends of paths, with paths from the root.
 */
export async function bundled<Module>(
  entry: string,
  standIns: Readonly<Record<string, string>> = {},
): Promise<Module> {
  // Below the root, where packages are found; of its own for each worker.
  const directory = join(ROOT, ".cache", "sim");
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${entry.replaceAll("/", "-")}-${process.pid}.mjs`);
  const bundle = await rolldown({
    input: join(ROOT, entry),
    platform: "node",
    external: (name) => !/^[./]/.test(name),
    plugins: [
      {
        name: "stand-ins",
        resolveId: (name) => {
          const found = Object.entries(standIns).find(([end]) => name.endsWith(end));
          return found === undefined ? null : join(ROOT, found[1]);
        },
      },
    ],
  });
  await bundle.write({ file, format: "esm" });
  await bundle.close();
  return import(pathToFileURL(file).href);
}
