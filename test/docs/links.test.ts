// Every relative link of the Markdown files leads to a file that is there, and to a heading of it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const root = path.join(__dirname, '..', '..');
const pages = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'],
  {
    cwd: root,
    encoding: 'utf8',
  },
)
  .trim()
  .split('\n');

const withoutCode = (text: string) => text.replace(/^(```+)[\s\S]*?^\1/gm, '');

/** The anchors of a page, by GitHub's rule. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutCode(text).matchAll(/^#{1,6} +(.*?)\s*$/gm)) {
    const plain = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/<[^>]*>/g, '');
    const slug = plain
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

const anchors = new Map<string, Set<string>>();
/** Has the page at `file` this anchor? */
function hasAnchor(file: string, anchor: string): boolean {
  const found = anchors.get(file) ?? anchorsOf(readFileSync(file, 'utf8'));
  anchors.set(file, found);
  return found.has(anchor);
}

/** What is wrong with the links of a page. */
function broken(page: string): string[] {
  const text = withoutCode(readFileSync(path.join(root, page), 'utf8')).replace(
    /`[^`\n]*`/g,
    'code',
  );
  const problems: string[] = [];
  for (const [, link = ''] of text.matchAll(/\]\(([^()\s]+)\)/g)) {
    if (/^[a-z]+:/.test(link)) continue;
    const [file = '', anchor] = link.split('#');
    const to = file === '' ? page : path.join(path.dirname(page), decodeURIComponent(file));
    const target = path.join(root, to);
    if (!existsSync(target)) problems.push(`${page}: ${link} is not there`);
    else if (anchor && statSync(target).isFile() && to.endsWith('.md')) {
      if (!hasAnchor(target, anchor)) problems.push(`${page}: no heading for ${link}`);
    }
  }
  return problems;
}

test('anchors by the rule', () => {
  const text =
    '# One `two`: three!\n```\n# code\n```\n## a [link](x.md)\n## a link\n### `abstract` DirectLoss\n';
  expect([...anchorsOf(text)]).toEqual([
    'one-two-three',
    'a-link',
    'a-link-1',
    'abstract-directloss',
  ]);
});

test('relative links', () => {
  expect(pages.length).toBeGreaterThan(20);
  expect(pages.flatMap(broken)).toEqual([]);
});
