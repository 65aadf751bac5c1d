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

  /** `files` are copied from this tree. */
  constructor(files: readonly string[]) {
    this.write('package.json', readFileSync(path.join(root, 'package.json')));
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

  remove(): void {
    rmSync(this.app, { recursive: true });
  }
}
