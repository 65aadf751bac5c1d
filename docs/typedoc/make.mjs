// Makes the API reference, docs/api, from the doc comments of lib/: `npm run docs`. With --check it writes nothing and
// fails when a committed page is not what it would write.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, '..', '..');
const committed = path.join(root, 'docs', 'api');

// A package of its own: TypeDoc reads TypeScript up to 6, and the project is compiled by a newer one.
if (!existsSync(path.join(here, 'node_modules')))
  execFileSync('npm', ['ci', '--silent'], { cwd: here, stdio: 'inherit' });
const { Application, Converter, ReflectionKind } = await import('typedoc');

/** Writes the pages to `folder`; false when a comment is missing or wrong. */
async function make(folder) {
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    logLevel: 'Warn',
    name: 'warpdice',
    tsconfig: path.join(root, 'tsconfig.build.json'),
    entryPoints: ['index.ts', 'mpi.ts', 'nccl.ts', 'tfjs.ts'].map((name) =>
      path.join(root, 'lib', name),
    ),
    out: folder,
    readme: 'none',
    disableSources: true,
    excludeInternal: true,
    excludePrivate: true,
    excludeProtected: true,
    // Whatever is exported says what it is, and what it links to exists.
    validation: { notExported: true, invalidLink: true, notDocumented: true },
    requiredToBeDocumented: ['Class', 'Interface', 'Function', 'TypeAlias', 'Method'],
    router: 'module',
    hideBreadcrumbs: true,
    hidePageHeader: true,
    useCodeBlocks: true,
    parametersFormat: 'table',
  });
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? [])
      if (module.name === 'index') module.name = 'warpdice';
    // What is inherited is said once, where it comes from.
    for (const reflection of Object.values(project.reflections)) {
      if (reflection.inheritedFrom && reflection.kind !== ReflectionKind.Constructor)
        project.removeReflection(reflection);
    }
  });
  const project = await app.convert();
  if (!project) return false;
  app.validate(project);
  await app.generateOutputs(project);
  mendAnchors(folder);
  return !app.logger.hasErrors() && !app.logger.hasWarnings();
}

/** Links to a heading that is there once must not count it: TypeDoc writes #lossvalue-1 for LossValue. */
function mendAnchors(folder) {
  for (const [name, text] of Object.entries(pagesOf(folder))) {
    // As GitHub makes anchors; those of a heading that is there again have numbers.
    const slugs = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading
        .toLowerCase()
        .replace(/[^\w\s-]/g, '')
        .replace(/\s/g, '-'),
    );
    const isOnce = (slug) => slugs.filter((other) => other === slug).length === 1;
    const mended = text.replace(/(?<=\]\(#)(\w+)-1(?=\))/g, (anchor, slug) =>
      isOnce(slug) ? slug : anchor,
    );
    writeFileSync(path.join(folder, name), mended);
  }
}

function pagesOf(folder) {
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]),
  );
}

if (!process.argv.includes('--check')) {
  process.exitCode = (await make(committed)) ? 0 : 1;
} else {
  const folder = mkdtempSync(path.join(tmpdir(), 'warpdice-docs-'));
  try {
    const complete = await make(folder);
    const [now, then] = [pagesOf(folder), pagesOf(committed)];
    const stale = Object.keys({ ...now, ...then }).filter((name) => now[name] !== then[name]);
    for (const name of stale) console.error(`docs/api/${name} is stale: npm run docs`);
    process.exitCode = complete && stale.length === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
