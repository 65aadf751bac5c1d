declare const addon: {
  /** The addon; throws what node-gyp-build or Node's loader throws. */
  load(): unknown;
  /** The folder of warpdice; in a bundle another one, or it throws. */
  folder(): string;
  /** The folder of the package whose addon is loaded: that of warpdice, or that of the platform's package. */
  loadedFrom(): string;
  /** The addon's file. warpdice/mpi has its own in the folder mpi beside it. */
  file(): string;
};
export = addon;
