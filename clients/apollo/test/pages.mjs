// Serves page.mjs, bundled, on an origin of its own.

import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const HTML = '<!doctype html><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/app.js"></script>';

// servePage returns { origin, close }.
export async function servePage() {
	const entryPoints = [fileURLToPath(new URL('page.mjs', import.meta.url))];
	const define = { 'process.env.NODE_ENV': '"development"' };
	const bundle = await build({ entryPoints, bundle: true, format: 'esm', write: false, define });
	const pages = createServer(({ url }, response) => {
		if (url.startsWith('/app.js')) response.setHeader('content-type', 'text/javascript').end(bundle.outputFiles[0].contents);
		else response.setHeader('content-type', 'text/html').end(HTML);
	});
	await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
	return { origin: `http://127.0.0.1:${pages.address().port}`, close: () => pages.close() };
}
