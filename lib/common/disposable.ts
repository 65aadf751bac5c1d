// What the declarations of this package need of TypeScript's lib.esnext.disposable, for programs that do not name it. Where it is
// there, or in @types/node, the declarations are one.
declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
  }

  interface Disposable {
    [Symbol.dispose](): void;
  }
}

export {};
