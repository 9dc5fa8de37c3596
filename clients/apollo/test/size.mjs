// Prints what each entry weighs, minified and gzipped, without its peers; fails if one has grown too much.

import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const limits = { index: 4000, core: 4000, urql: 4500, react: 1000 };
const external = ['@apollo/client', '@urql/core', 'graphql', 'graphql-ws', 'react', 'wonka'];
for (const [entry, limit] of Object.entries(limits)) {
	const { outputFiles } = await build({ entryPoints: [`dist/${entry}.js`], bundle: true, minify: true, format: 'esm', target: 'es2022', external, write: false });
	const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
	console.log(`${entry}: ${size} of ${limit} bytes`);
	if (size >= limit) process.exitCode = 1;
}
