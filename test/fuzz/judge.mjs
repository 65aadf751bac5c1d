// Which errors a user may see: a WarpDiceError with one of its codes, or a TypeError or RangeError of one of the three forms
// of docs/errors.md. Words of the engine (V8) about private names or missing functions are findings.

const codes = new Set([
  'ERR_DISPOSED',
  'ERR_NO_DEVICE',
  'ERR_OUT_OF_MEMORY',
  'ERR_CUDA',
  'ERR_LABEL_RANGE',
  'ERR_ADDON',
]);

const forms =
  /^(Expected .* (but|and|received) .*|\S.* (cannot be combined with|needs) .*|Unknown (option|key) '.*'.*)$/s;

const engine =
  /is not a function|not iterable|private|of undefined|of null|Cannot convert|called on|Illegal|is not a constructor|Invalid (array|typed array) length|Maximum call stack|bad_alloc|native code|object is not extensible|read only property/;

/** The longest message that is still read. */
const longest = 2000;

/** What is wrong with `error`, or undefined. */
export function complaint(error) {
  if (!(error instanceof Error)) return `threw ${typeof error}, no Error`;
  const { message } = error;
  const line = `${error.name}: ${message.slice(0, 300)}`;
  if (message.length > longest) return `a message of ${message.length} characters: ${line}`;
  if (engine.test(message)) return `words of the engine: ${line}`;
  if (error.name === 'WarpDiceError') {
    if (!codes.has(error.code)) return `unknown code ${error.code}: ${line}`;
    return error.code === 'ERR_ADDON' ? `an internal error: ${line}` : undefined;
  }
  if (!(error instanceof TypeError || error instanceof RangeError)) return `no code: ${line}`;
  return forms.test(message) ? undefined : `none of the forms: ${line}`;
}
