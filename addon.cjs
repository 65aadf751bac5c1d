// Loads the compiled addon. Programs that read code find it by these words, so they stay CommonJS, in the package's folder: file
// tracers (Next.js) know this call of node-gyp-build. The functions keep a bundle, where `__dirname` is another folder or missing,
// from failing before lib/native/load.ts can say so.
exports.load = () => require('node-gyp-build')(__dirname);
// For warpdice/mpi, whose addon lies in the folder mpi beside this file.
exports.file = () => require('node-gyp-build').path(__dirname);
exports.folder = () => __dirname;
