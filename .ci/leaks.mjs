// leaks.mjs <folder>: reads the sanitizers' reports in a folder and prints what concerns this addon;
// exit status 1 when there is any. Node and other addons leave memory behind at exit too, more so when
// a process ends with work under way; that is not ours to judge.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

/**
 * Whether the addon made a leaked block: its frame is the first after the allocator's, libstdc++'s and
 * Node-API's own. (It is further down in what Node allocates for itself during one of our calls.)
 */
function isOurs(leak) {
  const [, ...callers] = leak.match(/^ *#\d+ .*$/gm) ?? [];
  // Node frees the handle of a promise when it is settled: one whose worker was terminated never is.
  if (callers[0]?.includes('in napi_create_promise')) return false;
  const first = callers.find(
    (frame) => !/ in (napi_|v8impl::|std::|__gnu|operator )|libstdc\+\+/.test(frame),
  );
  return first !== undefined && /warpdice|node-addon-api/.test(first);
}

const folder = process.argv[2];
let found = 0;
for (const name of readdirSync(folder)) {
  const report = readFileSync(path.join(folder, name), 'utf8');
  if (!report.includes('ERROR: LeakSanitizer')) {
    // Any other error has ended its process; here it is for the log.
    console.log(report);
    if (report.includes('ERROR: ') || report.includes('runtime error: ')) found++;
    continue;
  }
  for (const leak of report.split('\n\n')) {
    if (!/^(Direct|Indirect) leak/.test(leak) || !isOurs(leak)) continue;
    console.log(`${leak}\n`);
    found++;
  }
}
if (found > 0) {
  console.log(`${found} findings of the sanitizers`);
  process.exitCode = 1;
}
