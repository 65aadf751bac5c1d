// Why the addon did not load: each reason has its own sentence, with what to do.

/** What lies beside the loader of the addon. */
export interface Surroundings {
  /** Whether its folder is that of the package warpdice. */
  readonly isPackage: boolean;
  /** Whether the sources are there, from which the install script compiles. */
  readonly hasSources: boolean;
  /** Whether a build has begun. */
  readonly hasBuild: boolean;
}

const guide = 'https://github.com/warpdice/warpdice/blob/main/docs/using-it-in.md';
const rebuild = 'run "npm rebuild warpdice" on a machine with CMake and a C++ compiler';

/** The message for what the loader has thrown. */
export function whyNotLoaded(thrown: unknown, surroundings: Surroundings): string {
  const { isPackage, hasSources, hasBuild } = surroundings;
  const words = String((thrown as Error | undefined)?.message ?? thrown).trim();
  if (!isPackage) {
    return `warpdice is bundled without its compiled addon: let the bundler leave warpdice external, or copy the package's folder prebuilds (or build) beside the bundle: ${guide}`;
  }
  if (!words.startsWith('No native build was found')) {
    return `warpdice has a compiled addon, but it does not load: ${words.replace(/\.$/, '')}: ${adviceFor(words)}`;
  }
  const missing = `warpdice has no compiled addon for ${process.platform}-${process.arch}`;
  if (!hasSources) {
    return `${missing}: what copied the package left its folders prebuilds and build behind: ${guide}`;
  }
  if (hasBuild) return `${missing}: the build in its folder has not succeeded: ${rebuild}`;
  return `${missing}: its install script has not run. Allow it and run it, on a machine with CMake and a C++ compiler. npm: "npm install-scripts approve warpdice", "npm rebuild warpdice". pnpm: "pnpm approve-builds". yarn: "dependenciesMeta": { "warpdice": { "built": true } } in package.json, "yarn install"`;
}

function adviceFor(words: string): string {
  if (words.includes('loading addons is disabled')) {
    return 'start Node without --no-addons, and with --allow-addons where --permission is set';
  }
  if (/GLIBC(XX)?_/.test(words))
    return `it needs a newer C library than this system has: ${rebuild}`;
  return `it is damaged or was made for another system: ${rebuild}`;
}
