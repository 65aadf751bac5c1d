// What makes an object one of this package, and what messages say of those that are not: Proxies, bare prototypes, objects of
// another copy of the package.

/**
 * On the prototype of every public class: the copy of the package that defined it. For messages alone, as anybody can set a
 * registered symbol.
 */
const mark = Symbol.for('warpdice.copy');
const thisCopy = Object.freeze({});

/** Whether the value is an object, or a class, of another copy of the package. */
export function isOfAnotherCopy(value: unknown): boolean {
  try {
    const object = typeof value === 'function' ? value.prototype : value;
    const copy = (object as { [mark]?: unknown } | null | undefined)?.[mark];
    return copy !== undefined && copy !== thisCopy;
  } catch {
    return false; // its getters throw, or a Proxy was revoked
  }
}

/**
 * Makes the methods and getters of a class refuse a `this` that is no whole object of it, before they reach for private fields:
 * the engine's own message would name those. noun: 'a Tensor'.
 */
export function guard(
  { prototype }: { readonly prototype: object },
  noun: string,
  isWhole: (value: object) => boolean,
): void {
  const check = (value: unknown, key: PropertyKey) => {
    if (typeof value === 'object' && value !== null && isWhole(value)) return;
    throw new TypeError(
      `Expected ${noun} for the object of ${String(key)} but received another value, a Proxy of one or its prototype: use the object itself`,
    );
  };
  for (const key of Reflect.ownKeys(prototype)) {
    if (key === 'constructor' || key === 'toString') continue; // messages use toString, which reads no private field
    const { value, get, ...rest } = Reflect.getOwnPropertyDescriptor(
      prototype,
      key,
    ) as PropertyDescriptor;
    if (get !== undefined) {
      const guarded = function (this: object) {
        check(this, key);
        return get.call(this);
      };
      Object.defineProperty(prototype, key, { ...rest, get: guarded });
    } else {
      // No method takes more than five arguments (Loss.prepare does). `...args` would be an array for each call, and a plan
      // allocates nothing.
      const guarded = function (
        this: object,
        a?: unknown,
        b?: unknown,
        c?: unknown,
        d?: unknown,
        e?: unknown,
      ) {
        check(this, key);
        return value.call(this, a, b, c, d, e);
      };
      Object.defineProperty(guarded, 'name', { value: value.name });
      Object.defineProperty(prototype, key, { ...rest, value: guarded });
    }
  }
  Object.defineProperty(prototype, mark, { value: thisCopy });
}

/** For a constructor that only the package may call. noun: 'a Tensor'; maker: 'Tensor.from(data, shape)'. */
export function notByNew(noun: string, maker: string, name: string): TypeError {
  return new TypeError(`Expected a call of ${maker} for ${noun} but received new ${name}(...)`);
}
