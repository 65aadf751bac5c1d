import { DiceLoss } from 'warpdice';

export const dynamic = 'force-dynamic';

export function GET() {
  const logits = { data: Float32Array.of(3, -3, 3, -3), shape: [1, 1, 4] };
  const labels = { data: Uint8Array.of(1, 0, 0, 0), shape: [1, 4] };
  const { value } = new DiceLoss({ activation: 'sigmoid' }).value(logits, labels);
  return new Response(`${value.itemSync().toFixed(6)}\n`);
}
