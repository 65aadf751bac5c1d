// The SIMD target that the addon must choose on this machine: by what the system says of the processor, which the addon does not ask.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const run = (program, ...args) => execFileSync(program, args, { encoding: 'utf8' });

/** PF_AVX2_INSTRUCTIONS_AVAILABLE and PF_AVX512F_INSTRUCTIONS_AVAILABLE of Windows. */
const windowsQuestion = `$kernel = Add-Type -PassThru -Namespace Warpdice -Name Kernel -MemberDefinition '
  [DllImport("kernel32.dll")] public static extern bool IsProcessorFeaturePresent(uint feature);'
40, 41 | ForEach-Object { [int]$kernel::IsProcessorFeaturePresent($_) }`;

/** What an x64 processor has, by the system that is asked. */
const questions = {
  linux() {
    const flags = readFileSync('/proc/cpuinfo', 'utf8');
    return { avx2: /\bavx2\b/.test(flags), avx512: /\bavx512vl\b/.test(flags) };
  },
  // macOS saves AVX-512's registers from their first use on, and says before that it does not: the addon then takes AVX2.
  darwin: () => ({ avx2: run('sysctl', '-n', 'hw.optional.avx2_0').trim() === '1', avx512: false }),
  win32() {
    const script = Buffer.from(windowsQuestion, 'utf16le').toString('base64');
    const said = run('powershell.exe', '-NoProfile', '-EncodedCommand', script);
    const [avx2, avx512] = said.split(/\s+/).map((word) => word === '1');
    return { avx2, avx512 };
  },
};

/**
 * `name`: the platform of the binary. Where another system pretends to be it (Wine), this system is asked. `forced`: a target that is
 * taken where the processor has it.
 */
export function expectedTarget(
  name,
  ask = questions[process.platform],
  forced = process.env.WARPDICE_SIMD,
) {
  if (name.includes('arm64')) return 'neon';
  if (forced === 'baseline') return forced;
  const { avx2, avx512 } = ask();
  if (avx512 && forced !== 'avx2') return 'avx512';
  return avx2 ? 'avx2' : 'baseline';
}
