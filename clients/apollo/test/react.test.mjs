// The hooks where there is no browser. browser.test.mjs has the rest.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSession } from '@latchkey/apollo/core';
import { SessionProvider, useViewer } from '@latchkey/apollo/react';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';

function Name() {
	return useViewer()?.username ?? 'nobody';
}

test('on a server nobody is logged in', () => {
	const session = createSession({ url: 'http://127.0.0.1:9/graphql' });
	assert.equal(renderToString(createElement(SessionProvider, { session }, createElement(Name))), 'nobody');
	session.dispose();
});

test('a hook without a provider says what is missing', () => {
	assert.throws(() => renderToString(createElement(Name)), /SessionProvider/);
});
