// Passkeys in the pages of an account: what the browser does with the options of the server.
const LatchkeyPasskeys = (() => {
	'use strict';

	const renewed = 4 * 60_000; // milliseconds, before the options expire
	let pending = null; // the AbortController of a request that waits; a browser has one at a time

	// failed converts an error of the browser to one with a sentence for the user.
	const failed = (error) => {
		if (error.name === 'AbortError') throw error;
		const text = error.name === 'InvalidStateError' ? 'This device has a passkey of the account already.' : 'No passkey was used. Try again, or another way.';
		throw Object.assign(new Error(text), { code: 'NO_PASSKEY' });
	};
	const begin = () => {
		pending?.abort();
		pending = new AbortController();
		return pending;
	};
	const get = async (options, controller, mediation) => {
		const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options));
		return JSON.stringify(await navigator.credentials.get({ publicKey, mediation, signal: controller.signal }));
	};

	return {
		// supported is false in old browsers, and on pages without HTTPS.
		supported: Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON),

		// create makes a passkey, and get uses one, by the options of the server. Both return what it expects as `passkey`.
		create: async (options) => {
			const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options));
			return JSON.stringify(await navigator.credentials.create({ publicKey, signal: begin().signal }).catch(failed));
		},
		get: (options) => get(options, begin()).catch(failed),
		// stop ends what waits for the user.
		stop: () => pending?.abort(),

		// suggest waits until the user picks a passkey among the browser's suggestions for the user name, or uses one otherwise:
		// then it throws an AbortError. start returns options, and is called again before they expire.
		suggest: async (start) => {
			for (;;) {
				const options = await start();
				const controller = begin();
				const renewal = setTimeout(() => controller.abort(renewed), renewed);
				try {
					return await get(options, controller, 'conditional');
				} catch (error) {
					if (controller.signal.reason !== renewed) failed(error);
				} finally {
					clearTimeout(renewal);
				}
			}
		},

		// alone reports whether a passkey by the options is enough, without the password.
		alone: (options) => JSON.parse(options).userVerification === 'required',
	};
})();
