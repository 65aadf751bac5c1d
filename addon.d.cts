declare const addon: {
  /** The addon; throws what node-gyp-build or Node's loader throws. */
  load(): unknown;
  /** The addon's file. */
  file(): string;
  /** The package's folder; in a bundle another one, or it throws. */
  folder(): string;
};
export = addon;
