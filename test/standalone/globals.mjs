// The part of '@jest/globals' that the suites of compile.mjs use. describe and test collect bodies; run() runs them in order.
import { format } from 'node:util';
import { expect } from 'expect';
import { NotHere } from './not-here.mjs';

export { expect };
export const jest = { setTimeout() {} };

const makeScope = (name, outer) => ({
  name,
  outer,
  entries: [],
  beforeAll: [],
  beforeEach: [],
  afterEach: [],
  afterAll: [],
});
let scope = makeScope('', undefined);

export const describe = withEach((name, body) => {
  const inner = makeScope(name, scope);
  scope.entries.push({ scope: inner });
  scope = inner;
  body();
  scope = inner.outer;
});
export const test = withEach((name, body) => scope.entries.push({ name, body }));
describe.skip = withEach((name) => scope.entries.push({ name, skipped: true }));
test.skip = withEach((name) => scope.entries.push({ name, skipped: true }));
export const beforeAll = (body) => scope.beforeAll.push(body);
export const beforeEach = (body) => scope.beforeEach.push(body);
export const afterEach = (body) => scope.afterEach.push(body);
export const afterAll = (body) => scope.afterAll.push(body);

/** Adds `.each(table)(name, body)`. A row is an array of arguments, or one argument. */
function withEach(add) {
  add.each = (table) => (name, body) => {
    for (const row of table) {
      const args = Array.isArray(row) ? row : [row];
      add(nameOf(name, args), () => body(...args));
    }
  };
  return add;
}

/** Replaces $key by that member of the first argument, and %s and the like by the arguments. */
function nameOf(name, args) {
  const named = name.replaceAll(/\$(\w+)/g, (_, key) => format('%j', args[0]?.[key]));
  const places = named.match(/%[sdifjop]/g)?.length ?? 0;
  return format(named.replaceAll('%p', '%o'), ...args.slice(0, places));
}

/** Runs what was collected since the last call. */
export async function run() {
  const all = scope;
  scope = makeScope('', undefined);
  const results = { passed: 0, skipped: [], failures: [] };
  await runScope(all, '', results);
  return results;
}

async function runScope(scope, names, results) {
  const { entries, beforeAll, afterAll } = scope;
  const scopes = []; // from the outermost one in
  for (let at = scope; at; at = at.outer) scopes.unshift(at);
  for (const body of beforeAll) await body();
  for (const { scope: inner, name, body, skipped } of entries) {
    if (inner) {
      await runScope(inner, `${names}${inner.name} > `, results);
    } else if (skipped) {
      results.skipped.push(names + name);
    } else {
      try {
        for (const at of scopes) for (const before of at.beforeEach) await before();
        await body();
        for (const at of [...scopes].reverse()) for (const after of at.afterEach) await after();
        results.passed++;
      } catch (error) {
        if (error instanceof NotHere)
          results.skipped.push(`${names}${name} (needs ${error.message})`);
        else results.failures.push({ name: names + name, error });
      }
    }
  }
  for (const body of afterAll) await body();
}
