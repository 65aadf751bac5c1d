// npm's install script: a prebuilt or already built addon that loads is used, else one is compiled.
// WARPDICE_BUILD_FROM_SOURCE=1, npm's --build-from-source or a value for WARPDICE_CUDA always compile.
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative, reportBuildErrors } from './build-native.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const { WARPDICE_BUILD_FROM_SOURCE, WARPDICE_CUDA, npm_config_build_from_source } = process.env;
const fromSource =
  ['1', 'true'].includes(WARPDICE_BUILD_FROM_SOURCE ?? '') ||
  ['true', 'warpdice'].includes(npm_config_build_from_source ?? '') ||
  (WARPDICE_CUDA ?? '') !== '';

function loads() {
  try {
    createRequire(import.meta.url)('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

if (fromSource || !loads()) {
  // clean: neither an older build/ nor its cached options may survive the switch.
  await reportBuildErrors(() => buildNative({ clean: fromSource }));
}
