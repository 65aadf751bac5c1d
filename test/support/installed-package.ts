// The package as users have it: installed in node_modules of an empty folder, with only the files that a test needs.
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.join(__dirname, '..', '..');
export const addonFile = 'build/Release/warpdice.node';

export class InstalledPackage {
  /** The user's folder. */
  readonly app = mkdtempSync(path.join(tmpdir(), 'warpdice-installed-'));
  readonly folder = path.join(this.app, 'node_modules/warpdice');

  /** `files` are copied from this tree; `packages` are those of platforms that the published package.json names. */
  constructor(files: readonly string[], packages: readonly string[] = []) {
    const manifest = require('../../package.json');
    const optionalDependencies = Object.fromEntries(
      packages.map((name) => [name, manifest.version]),
    );
    this.write('package.json', JSON.stringify({ ...manifest, optionalDependencies }));
    for (const name of files) cpSync(path.join(root, name), this.path(name), { recursive: true });
    for (const name of ['node-gyp-build', 'node-addon-api', 'node-api-headers']) {
      symlinkSync(path.join(root, 'node_modules', name), path.join(this.app, 'node_modules', name));
    }
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  write(name: string, content: string | Buffer): void {
    mkdirSync(path.dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  /** The addon of this tree, or its first bytes. */
  writeAddon(bytes?: number): void {
    this.write(addonFile, readFileSync(path.join(root, addonFile)).subarray(0, bytes));
  }

  /** The package of a platform, with this tree's addon or its first bytes. */
  writePlatform(name: string, version: string, bytes?: number): void {
    const folder = path.join(this.app, 'node_modules', name);
    const prebuilds = path.join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name, version }));
    const addon = readFileSync(path.join(root, addonFile)).subarray(0, bytes);
    writeFileSync(path.join(prebuilds, 'warpdice.node'), addon);
  }

  remove(): void {
    rmSync(this.app, { recursive: true });
  }
}
