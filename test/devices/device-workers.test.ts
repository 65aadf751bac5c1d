/**
 * The emulated device in worker threads and in processes that end, each in a process of its own; and the addon that is
 * shipped, CUDA compiled in or not, where there is no GPU.
 */
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Device, DiceLoss, Tensor } from '../../lib/index.js';
import { inThisRun } from '../support/in-this-run.js';
import { runWell } from '../support/process.js';

const addon = path.resolve(__dirname, '../../build/emulated/warpdice_emulated.node');
const env = { WARPDICE_TEST_ADDON: addon };

describe('worker threads on a device, several at once and terminated at any moment', () => {
  test.each(['sync', 'async', 'plan'])('%s', async (how) => {
    const { same, values, works, alive } = JSON.parse(
      await runWell('device-several.mjs', { args: [how], env }),
    );
    expect({ same, works }).toEqual({ same: true, works: true });
    for (const value of values) expect(value).toBeGreaterThan(0);
    expect(alive).toEqual([0, 0]); // what terminated workers had is freed
  });
});

describe('a process ends while a device has work', () => {
  // Many, side by side: what a thread still uses at the end is gone for a moment only.
  test('at once', async () => {
    const ends = Array.from({ length: 24 })
      .filter(inThisRun)
      .map(() => runWell('device-exit.mjs', { args: ['exit'], env }));
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['']));
  });

  test('by itself, when everything is read', async () => {
    expect(await runWell('device-exit.mjs', { args: ['end'], env })).toBe('read 32\n');
  });
});

describe('the addon that is shipped', () => {
  test('names no emulated device', () => {
    expect(Device.list().map(String).join()).not.toMatch(/emulated/);
  });

  test('loads and computes where there is no GPU, and says why there is none', () => {
    if (Device.default() === Device.cpu) {
      expect(Device.whyNoGpu).toMatch(/no CUDA|no NVIDIA driver|CUDA says/);
      expect(() => Device.cuda(0)).toThrow(`Expected a GPU for cuda:0, but ${Device.whyNoGpu}`);
      expect(() => Device.cuda(0)).toThrow(expect.objectContaining({ code: 'ERR_NO_DEVICE' }));
    } else {
      expect(Device.whyNoGpu).toBeUndefined();
    }
    const x = Tensor.from(Float32Array.of(1, 0), [2]).to(Device.default());
    expect(new DiceLoss().value(x, x).value.itemSync()).toBeLessThan(1e-6);
  });
});
