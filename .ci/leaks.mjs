// leaks.mjs <folder>: reads the sanitizers' reports in a folder and prints what concerns this addon;
// exit status 1 when there is any. Node and other addons leave memory behind at exit too, more so when
// a process ends with work under way; that is not ours to judge.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

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
    if (!/^(Direct|Indirect) leak/.test(leak) || !leak.includes('warpdice')) continue;
    // Node frees the handle of a promise when it is settled: one whose worker was terminated never is.
    if (leak.includes('in napi_create_promise')) continue;
    console.log(`${leak}\n`);
    found++;
  }
}
if (found > 0) {
  console.log(`${found} findings of the sanitizers`);
  process.exitCode = 1;
}
