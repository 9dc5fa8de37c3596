// Holds a running server against GraphQL over HTTP, by graphql-http's audits: what the
// specification recommends or merely allows counts as much as what it demands.
//
// Usage: node audits.mjs URL
//
// URL is the address of GraphQL. The exit code is 0 if all audits passed.

import { serverAudits } from 'graphql-http';

const WANTED = 61;

const [url] = process.argv.slice(2);
if (!url) {
	console.error('usage: node audits.mjs URL');
	process.exit(2);
}

let request = ''; // of the audit that runs
const audits = serverAudits({ url, fetchFn: note });
let passed = 0;
for (const audit of audits) {
	if (await run(audit)) passed++;
}
console.log(`${passed} of ${audits.length} audits passed`);
if (audits.length !== WANTED) console.error(`FAILED: there are ${audits.length} audits, not ${WANTED}`);
if (passed !== WANTED || audits.length !== WANTED) process.exitCode = 1;

// run does one audit, and shows what was asked and answered if it did not pass.
async function run({ id, name, fn }) {
	try {
		const result = await fn();
		if (result.status === 'ok') return true;
		console.error(`${result.status.toUpperCase()} ${id} ${name}: ${result.reason}`);
		console.error(`  request:  ${request}`);
		console.error(`  response: ${await describe(result.response)}`);
	} catch (error) {
		console.error(`ERROR ${id} ${name}: ${error.message}: ${error.cause?.message ?? ''}`);
	}
	return false;
}

// note keeps the request for the report.
function note(address, options = {}) {
	const { method = 'GET', headers = {}, body = '' } = options;
	request = [method, address, JSON.stringify(headers), body].join(' ');
	return fetch(address, { ...options, signal: AbortSignal.timeout(15_000) });
}

async function describe(response) {
	const text = response.bodyUsed ? '(read by the audit)' : await response.text();
	return `${response.status} ${response.headers.get('content-type')} ${text}`;
}
