// Log-in by providers, on the pages of an account: the buttons, and the page to which a provider sends the user back. What
// began a log-in is kept in this tab alone, so a redirect that was begun elsewhere completes nothing here. No parameter of a
// URL says where the user goes afterwards.
const LatchkeyProviders = (account) => {
	'use strict';

	const { root, page, token, session, ask, again, withFactor, make, form, link, show, say, explain, fault } = account;
	const stored = 'latchkey:providerLogin';
	const callback = new URL(`${root}account/callback`, location.href).href;

	// The code is kept in memory alone: not in the address bar, the history, or a Referer header.
	const redirect = new URLSearchParams(page === 'callback' ? location.search : '');
	if (page === 'callback') history.replaceState(null, '', location.pathname);
	else sessionStorage.removeItem(stored); // given up at the provider

	const list = async () => (await session.ask('{ loginProviders { name label } }')).loginProviders;

	// start sends the browser to a provider, to log in or, with linking, to link an account there to the viewer's.
	const start = async ({ name, label }, linking) => {
		const mutation = linking ? 'startIdentityLink' : 'startProviderLogin';
		const { started } = await (linking ? ask : session.ask)(
			`mutation Start($p: String!, $r: String!) { started: ${mutation}(input: {provider: $p, redirectUri: $r}) { url state verifier } }`,
			{ p: name, r: callback },
		);
		const { url, state, verifier } = started;
		const back = page === 'verify-email' ? `verify-email#${token}` : '';
		sessionStorage.setItem(stored, JSON.stringify({ state, verifier, label, linking, back }));
		location.assign(url);
	};

	// buttons returns an element that gets a button for each provider when they are known. Without them the page works too.
	const buttons = () => {
		const element = make('div', { className: 'providers' });
		list().then((all) => {
			element.append(...all.map((provider) => form(`Log in with ${provider.label}`, [], () => start(provider, false))));
		}, () => {});
		return element;
	};

	// section returns what the page of the account shows: the viewer's accounts at providers, and buttons to link more.
	const section = async (identities, home) => {
		const all = await list();
		if (!all.length && !identities.length) return [];
		const labelOf = ({ provider, email }) => (all.find(({ name }) => name === provider)?.label ?? provider) + (email ? ` (${email})` : '');
		return [
			make('h2', {}, 'Other ways to log in'),
			...identities.map((identity) => form(`Unlink ${labelOf(identity)}`, [], again(async () => {
				await ask('mutation Unlink($id: ID!) { unlinkIdentity(input: {id: $id}) { identity { id } } }', { id: identity.id });
				await home();
			}))),
			...all.map((provider) => form(`Link ${provider.label}`, [], again(() => start(provider, true)))),
		];
	};

	const refusals = {
		PROVIDER_LOGIN_FAILED: (label) => `The log-in with ${label} took too long, or its response was refused. Start again.`,
		IDENTITY_NOT_LINKED: (label) => `There is an account with this e-mail address. Log in to it as before, and link ${label} on the page of your account.`,
		SIGNUP_DISABLED: (label) => `No account is linked with your account at ${label}. If you have one, log in to it and link ${label} there. Otherwise ask an administrator for an account.`,
		UNAVAILABLE: (label) => `${label} does not respond. Try again later, or log in in another way.`,
	};

	const refuse = (text, linking) => {
		say('');
		show(linking ? link('', 'Your account') : link('login', 'Log in'));
		fault.textContent = text;
	};

	// complete is the page to which providers send users back.
	const complete = async () => {
		const begun = JSON.parse(sessionStorage.getItem(stored));
		if (!begun || redirect.get('state') !== begun.state) {
			refuse('This log-in was not started in this tab, or was completed before. Start again.');
			return;
		}
		sessionStorage.removeItem(stored);
		const { state, verifier, label, linking, back } = begun;
		const code = redirect.get('code');
		if (!code) {
			refuse(redirect.get('error') === 'access_denied' ? `You or ${label} have declined.` : `${label} has refused. Start again, or log in in another way.`, linking);
			return;
		}
		const input = { state, verifier, code, iss: redirect.get('iss') };
		const next = () => location.replace(`${root}account/${back}`);
		say('One moment …');
		try {
			if (linking) {
				await ask('mutation Link($i: CompleteProviderLoginInput!) { linkIdentity(input: $i) { identity { id } } }', { i: input });
				next();
			} else {
				await withFactor(() => session.logInByProvider(input), next);
				say('');
			}
		} catch (error) {
			if (!error.code) throw error;
			refuse(refusals[error.code]?.(label) ?? explain(error), linking);
		}
	};

	return { buttons, section, complete };
};
