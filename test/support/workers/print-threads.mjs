import { getThreads } from '../../../dist/index.js';

console.log(getThreads());
