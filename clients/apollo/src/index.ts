export * from './core.js';
export { followViewer, latchkeyLink } from './link.js';
