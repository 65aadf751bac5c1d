// Loads the compiled addon: the one in this folder (compiled here, or copied beside a bundle), else that of the platform's package,
// such as @warpdice/linux-x64. It stays CommonJS, in the package's folder, for programs that read code. The functions keep a bundle,
// where `__dirname` is another folder or missing, from failing before lib/native/load.ts can say so.
const os = require('node:os');
const path = require('node:path');

/** By the package manager's rules. A file tracer leaves out package.json: then where npm and pnpm put it, beside this package. */
function folderOf(name) {
  try {
    // Not require.resolve, by which webpack would take all of @warpdice into the bundle.
    const { resolve } = require('node:module').createRequire(__filename);
    return path.dirname(resolve(`${name}/package.json`));
  } catch {
    return path.join(__dirname, '..', name);
  }
}

function hasAddon(folder) {
  try {
    return require('node-gyp-build').path(folder) !== '';
  } catch {
    return false;
  }
}

/** The folders with an addon. Not every package manager knows which C library there is: then both packages of Linux are there. */
function places() {
  const name = `@warpdice/${process.platform}-${process.arch}`;
  return [__dirname, folderOf(name), folderOf(`${name}-musl`)].filter(hasAddon);
}

let loadedFrom;

exports.load = () => {
  let failure;
  for (const folder of places()) {
    try {
      const addon = require('node-gyp-build')(folder);
      loadedFrom = folder;
      return addon;
    } catch (error) {
      failure ??= error;
      if (folder === __dirname) break; // whoever compiled one does not want another
    }
  }
  throw failure ?? new Error('No native build was found');
};
exports.folder = () => __dirname;
exports.loadedFrom = () => loadedFrom ?? places()[0] ?? __dirname;
exports.file = () => require('node-gyp-build').path(exports.loadedFrom());

// Never called: file tracers (Next.js, @vercel/nft) read in these words what else to take along. The latter knows what functions of
// node:os return, and not what `process` holds.
exports.traced = () => {
  const platform = `../@warpdice/${os.platform()}-${os.arch()}`;
  require('node-gyp-build')(__dirname);
  require('node-gyp-build')(path.join(__dirname, platform));
  require('node-gyp-build')(path.join(__dirname, `${platform}-musl`));
};
