/** "packages" of package-lock.json: what is installed where. */
export type LockedPackages = Readonly<
  Record<string, { readonly optionalDependencies?: Readonly<Record<string, string>> }>
>;

/** Where Node would look for a package that is wanted from inside a folder, nearest first. */
function placesOf(folder: string, name: string): string[] {
  const places: string[] = [];
  let inside = folder;
  for (;;) {
    places.push(inside === "" ? `node_modules/${name}` : `${inside}/node_modules/${name}`);
    if (inside === "") return places;
    const above = inside.lastIndexOf("/node_modules/");
    inside = above < 0 ? "" : inside.slice(0, above);
  }
}

/**
 * npm install leaves out packages of other platforms that its registry does not have, and npm ci
 * then calls the lock file out of date.
 */
export function checkLock(packages: LockedPackages): string[] {
  return Object.entries(packages).flatMap(([folder, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies).flatMap(([name, version]) =>
      placesOf(folder, name).some((place) => place in packages)
        ? []
        : [
            `package-lock.json lacks ${name}@${version}, which ${folder} may want on another ` +
              "platform: add its version, os and cpu by hand.",
          ],
    ),
  );
}
