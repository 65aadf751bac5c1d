import path from 'node:path';

const root = path.join(import.meta.dirname, '../..'); // holds all that it uses
export default {
  output: 'standalone',
  serverExternalPackages: ['warpdice'],
  outputFileTracingRoot: root,
  turbopack: { root },
};
