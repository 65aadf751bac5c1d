// Why the addon did not load: each reason has its own sentence, with what to do.

/** What lies beside the loader of the addon. */
export interface Surroundings {
  /** The folder of the package warpdice; undefined in a bundle. */
  readonly folder: string | undefined;
  /** The packages that hold the compiled addons of the platforms. In a clone there are none. */
  readonly packages: readonly string[];
  /** Whether the sources are there, from which it can be compiled. */
  readonly hasSources: boolean;
  /** Whether a build has begun. */
  readonly hasBuild: boolean;
}

const guide = 'https://github.com/warpdice/warpdice/blob/main/docs/using-it-in.md';
const { platform, arch } = process;

/** The message for what the loader has thrown. */
export function whyNotLoaded(thrown: unknown, surroundings: Surroundings): string {
  const { folder, hasSources, hasBuild } = surroundings;
  const words = String((thrown as Error | undefined)?.message ?? thrown).trim();
  if (folder === undefined) {
    return `warpdice is bundled without its compiled addon: let the bundler leave warpdice external, or copy the folder prebuilds of the package @warpdice/${platform}-${arch} (or build of warpdice, where it was compiled) beside the bundle: ${guide}`;
  }
  if (!words.startsWith('No native build was found')) {
    return `warpdice has a compiled addon, but it does not load: ${words.replace(/\.$/, '')}: ${adviceFor(words, folder)}`;
  }
  const missing = `warpdice has no compiled addon for ${platform}-${arch}`;
  if (hasBuild) {
    return `${missing}: the build in its folder has not succeeded: ${compile(folder)}`;
  }
  const wanted = `@warpdice/${platform}-${arch}`;
  if (surroundings.packages.some((name) => name === wanted || name === `${wanted}-musl`)) {
    const otherwise = hasSources ? ` Or compile it: ${compile(folder)}` : '';
    return `${missing}: it is in the optional package ${wanted}, which is not here. Install without npm's --omit=optional, pnpm's --no-optional or yarn's --ignore-optional, and let what bundles or copies the app take node_modules/@warpdice along: ${guide}.${otherwise}`;
  }
  if (!hasSources) {
    return `${missing}: what copied the package left its folder build behind: ${guide}`;
  }
  return `${missing}, and none is published for it: ${compile(folder)}`;
}

/** The message for packages that do not belong together. */
export function skewed(version: string, name: string, other: string): string {
  return `warpdice ${version} cannot use ${name} ${other}: both must have one version. Remove what pins one of them (overrides, resolutions), then run "npm install warpdice@${version}"`;
}

/** The one command that compiles the addon. */
function compile(folder: string): string {
  if (platform === 'win32') return 'use WSL 2, where warpdice runs as on Linux';
  return `run 'node "${folder}/scripts/compile.mjs"' on a machine with CMake and a C++ compiler`;
}

function adviceFor(words: string, folder: string): string {
  if (words.includes('loading addons is disabled')) {
    return 'start Node without --no-addons, and with --allow-addons where --permission is set';
  }
  if (/GLIBC(XX)?_/.test(words)) {
    return `it needs a newer C library than this system has: ${compile(folder)}`;
  }
  return `it is damaged or was made for another system: install warpdice again, or ${compile(folder)}`;
}
