// What README.md and docs/browser.md show compiles, each block as a module of its own.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const here = fileURLToPath(new URL('.', import.meta.url));

// What the blocks take for granted.
const ASSUMED = `
declare const session: import('@latchkey/apollo').Session;
declare const client: import('@apollo/client').ApolloClient;
declare const http: import('@apollo/client').ApolloLink;
declare const root: import('react-dom/client').Root;
declare const ApolloProvider: typeof import('@apollo/client/react').ApolloProvider;
declare const LoginForm: (props: { reason: string | null }) => React.ReactNode;
declare const [username, password]: string[];
declare const thrown: unknown;
declare const [showLogin, askForThePassword, showAtField, waitSeconds, offerToRetry, showMessage]: ((...values: unknown[]) => void)[];
`;

for (const document of ['../README.md', '../../../docs/browser.md']) {
	test(document, (t) => {
		const folder = `${here}compiled-${process.pid}`;
		mkdirSync(folder, { recursive: true });
		t.after(() => rmSync(folder, { recursive: true, force: true }));
		const text = readFileSync(new URL(document, import.meta.url), 'utf8');
		const blocks = [...text.matchAll(/```tsx?\n(.*?)```/gs)].map(([, block]) => block);
		assert.ok(blocks.length >= 4);
		const files = blocks.map((block, n) => {
			const file = `${folder}/block${n}.tsx`;
			writeFileSync(file, `${block}\nexport {};\n`);
			return file;
		});
		writeFileSync(`${folder}/assumed.d.ts`, ASSUMED);
		const program = ts.createProgram([...files, `${folder}/assumed.d.ts`], {
			target: ts.ScriptTarget.ES2022,
			module: ts.ModuleKind.NodeNext,
			moduleResolution: ts.ModuleResolutionKind.NodeNext,
			jsx: ts.JsxEmit.ReactJSX,
			lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
			strict: true,
			noEmit: true,
			skipLibCheck: true,
			types: [],
		});
		const faults = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => `${file?.text ?? ''}\n${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
		assert.deepEqual(faults, []);
	});
}
