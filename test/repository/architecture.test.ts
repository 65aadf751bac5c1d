// docs/architecture.md says what each folder may know. Here the imports of lib/ and the includes of native/ are compared
// with it: a file that reaches upwards, or a circle between files, fails.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const page = readFileSync(path.join(root, 'docs/architecture.md'), 'utf8');

/** From the rows `| [folder](...) | ... | folder, folder |` of the page. */
const table = new Map(
  [...page.matchAll(/^\| `((?:lib|native)[\w/]*)` \|.*\| ([^|]*) \|$/gm)].map(
    ([, folder, known]) => [
      folder as string,
      [...(known as string).matchAll(/`([\w/]+)`/g)].map(([, name]) => name as string),
    ],
  ),
);

const files = ['lib', 'native'].flatMap((top) =>
  readdirSync(path.join(root, top), { recursive: true, encoding: 'utf8' })
    .map((name) => `${top}/${name.replaceAll(path.sep, '/')}`)
    .filter((name) => /\.(ts|cc|h|cu|cuh)$/.test(name)),
);

/** What a file imports or includes of lib/ and native/; types too. */
function importsOf(file: string): string[] {
  const text = readFileSync(path.join(root, file), 'utf8');
  if (file.startsWith('native/')) {
    const included = [...text.matchAll(/^#include "([^"]+)"/gm)].map(
      ([, name]) => `native/${name}`,
    );
    return included.filter((name) => files.includes(name));
  }
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)\.js'/g)]
    .map(([, name]) => path.posix.join(path.posix.dirname(file), `${name}.ts`))
    .filter((name) => name !== 'binding.ts'); // binding.d.ts: the contract with the addon, types alone
}

const edges = files.flatMap((from) => importsOf(from).map((to) => ({ from, to })));
const folderOf = (file: string) => path.posix.dirname(file);
const folders = [...new Set(files.map(folderOf))].sort();

describe('what each folder may know', () => {
  test('the page has a row for each folder, and no other', () => {
    expect([...table.keys()].sort()).toEqual(folders);
  });

  test.each(folders)('%s', (folder) => {
    const known = table.get(folder) ?? [];
    const others = edges.filter(
      ({ from, to }) => folderOf(from) === folder && folderOf(to) !== folder,
    );
    const wrong = others.filter(({ to }) => !known.includes(folderOf(to)));
    expect(wrong.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
    const used = new Set(others.map(({ to }) => folderOf(to)));
    expect(known.filter((name) => !used.has(name)).map((name) => `${name} is not used`)).toEqual(
      [],
    );
  });

  test('no circle between folders', () => {
    expect(
      circle([...table].flatMap(([from, known]) => known.map((to) => ({ from, to })))),
    ).toEqual([]);
  });

  test('no circle between files', () => {
    expect(circle(edges)).toEqual([]);
  });

  test('a circle and an import upwards are seen', () => {
    expect(
      circle([
        { from: 'a', to: 'b' },
        { from: 'b', to: 'c' },
        { from: 'c', to: 'a' },
      ]),
    ).toEqual(['a', 'b', 'c', 'a']);
    expect(
      circle([
        { from: 'a', to: 'b' },
        { from: 'a', to: 'c' },
        { from: 'b', to: 'c' },
      ]),
    ).toEqual([]);
    expect(edges).toContainEqual({ from: 'lib/index.ts', to: 'lib/losses/dice.ts' });
    expect(edges).toContainEqual({ from: 'native/cpu/strategy.h', to: 'native/math/call.h' });
    expect(table.get('lib/common')).toEqual([]);
  });
});

/** A path that comes back to where it began, or nothing. */
function circle(edges: readonly { from: string; to: string }[]): string[] {
  const next = new Map<string, { to: string }[]>();
  for (const { from, to } of edges) next.set(from, [...(next.get(from) ?? []), { to }]);
  const done = new Set<string>();
  function walk(name: string, trail: readonly string[]): string[] {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name];
    if (done.has(name)) return [];
    for (const { to } of next.get(name) ?? []) {
      const found = walk(to, [...trail, name]);
      if (found.length > 0) return found;
    }
    done.add(name);
    return [];
  }
  for (const name of next.keys()) {
    const found = walk(name, []);
    if (found.length > 0) return found;
  }
  return [];
}
