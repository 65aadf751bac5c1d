// A registry of a few packages on this machine, for tests of what `npm install warpdice` does before anything is published:
//
//   const registry = await startRegistry(folders, scratch); ... npm install --registry <registry.url> ...; registry.close();
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';

/** Packs the folders of packages into `scratch` and serves them. Nothing of their scripts is run. */
export async function startRegistry(folders, scratch) {
  const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', scratch];
  execFileSync('npm', [...args, ...folders], { stdio: 'pipe' });
  const packages = new Map();
  const tarballs = new Map(
    readdirSync(scratch)
      .filter((file) => file.endsWith('.tgz'))
      .map((file) => [file, readFileSync(path.join(scratch, file))]),
  );
  const server = createServer((request, response) => {
    const name = decodeURIComponent(request.url.slice(1));
    const body = tarballs.get(name) ?? packages.get(name);
    response.statusCode = body === undefined ? 404 : 200;
    response.end(body ?? '{}');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/`;
  for (const folder of folders) {
    const manifest = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const { name, version } = manifest;
    const file = `${name.replace(/^@/, '').replace('/', '-')}-${version}.tgz`;
    const integrity = `sha512-${createHash('sha512').update(tarballs.get(file)).digest('base64')}`;
    const dist = { tarball: `${url}${file}`, integrity };
    const versions = { [version]: { ...manifest, dist } };
    packages.set(name, JSON.stringify({ name, 'dist-tags': { latest: version }, versions }));
  }
  const sizes = new Map([...tarballs].map(([file, { length }]) => [file, length]));
  return { url, sizes, close: () => server.close() };
}
