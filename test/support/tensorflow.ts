// The parts of TensorFlow.js that the tests use, under one name as `@tensorflow/tfjs` has them: that package is 190 MB larger.
import '@tensorflow/tfjs-backend-cpu';

export * from '@tensorflow/tfjs-core';
export * from '@tensorflow/tfjs-layers';
