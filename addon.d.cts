declare const addon: {
  /** The addon; throws what node-gyp-build or Node's loader throws. */
  load(): unknown;
  /** The package's folder; in a bundle another one, or it throws. */
  folder(): string;
};
export = addon;
