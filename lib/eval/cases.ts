// Which files are compared with which.
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';

/** A truth and the prediction for it. */
export interface Case {
  readonly name: string;
  readonly truth: string;
  readonly prediction: string;
}

const extension = /\.nii(\.gz)?$/i;

/** Two files, or the NIfTI files of the same name in two folders. */
export function findCases(truth: string, prediction: string): Case[] {
  const [isFolder, other] = [truth, prediction].map(isDirectory);
  if (isFolder !== other) {
    throw new Error(`Expected two files or two folders but received ${truth} and ${prediction}`);
  }
  if (!isFolder) return [{ name: nameOf(truth), truth, prediction }];
  const [truths, predictions] = [filesOf(truth), filesOf(prediction)];
  const missing = [...truths.keys()].filter((name) => !predictions.has(name));
  const unknown = [...predictions.keys()].filter((name) => !truths.has(name));
  if (truths.size === 0) throw new Error(`Expected NIfTI files in ${truth} but received none`);
  if (missing.length > 0) {
    throw new Error(`Expected a prediction of ${list(missing)} in ${prediction} but received none`);
  }
  if (unknown.length > 0) {
    throw new Error(`Expected a truth of ${list(unknown)} in ${truth} but received none`);
  }
  return [...truths].map(([name, file]) => ({
    name,
    truth: file,
    prediction: predictions.get(name) as string,
  }));
}

function isDirectory(given: string): boolean {
  const found = statSync(given, { throwIfNoEntry: false });
  if (found === undefined) {
    throw new Error(`Expected a file or a folder that exists but received ${given}`);
  }
  return found.isDirectory();
}

const nameOf = (file: string) => path.basename(file).replace(extension, '');

const list = (names: readonly string[]) =>
  names.length > 5
    ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`
    : names.join(', ');

/** Name and path of the NIfTI files of a folder, by name; without hidden files, such as the ._ files of macOS. */
function filesOf(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const file of readdirSync(folder).sort()) {
    if (!extension.test(file) || file.startsWith('.')) continue;
    const name = nameOf(file);
    if (files.has(name))
      throw new Error(`Expected one file of ${name} in ${folder} but received two`);
    files.set(name, path.join(folder, file));
  }
  return files;
}
