// The pages of an account. Each has one form at a time; a mutation runs only when its button is pressed, because programs that
// look for malware open the links in mails.
(() => {
	'use strict';

	const { page, root } = document.body.dataset;
	const session = LatchkeySession(new URL(`${root}graphql`, location.href).href);
	const passkeys = LatchkeyPasskeys;
	const main = document.getElementById('form');
	const message = document.getElementById('message');
	const fault = document.getElementById('fault');
	const locale = navigator.language;

	// The token of the link is kept in memory, and by provider.js in this tab while its user is at a provider: not in the address
	// bar, the history, or a Referer header.
	const token = location.hash.slice(1);
	if (token) history.replaceState(null, '', location.pathname);

	// make returns an element with properties and children.
	const make = (name, properties = {}, ...children) => {
		const element = Object.assign(document.createElement(name), properties);
		element.append(...children);
		return element;
	};
	const field = (text, properties, hint) => {
		const input = make('input', { required: true, ...properties });
		return make('label', {}, text, input, ...(hint ? [make('small', {}, hint)] : []));
	};
	const choice = (text, name) => make('label', { className: 'choice' }, make('input', { type: 'checkbox', name }), make('span', {}, text));
	const link = (to, text) => make('p', {}, make('a', { href: `${root}account/${to}` }, text));

	const email = () => field('E-mail address', { name: 'email', type: 'email', autocomplete: 'email', maxLength: 254 });
	const username = (hint) => field('User name', { name: 'username', autocomplete: 'username', autocapitalize: 'none', spellcheck: false }, hint);
	const password = (text, autocomplete, hint) => field(text, { name: 'password', type: 'password', autocomplete }, hint);
	const newPassword = () => password('Password', 'new-password', 'At least 8 characters. Long ones are better than complicated ones.');

	const say = (text) => { message.textContent = text; };
	const show = (...elements) => {
		main.replaceChildren(...elements);
		main.querySelector('input, button')?.focus();
	};

	// form returns a form whose button calls the action with the values. While it runs, no button can be pressed.
	const form = (button, fields, action, properties = {}) => {
		const element = make('form', properties, ...fields, make('button', {}, button));
		element.addEventListener('submit', async (event) => {
			event.preventDefault();
			say('');
			fault.textContent = '';
			const buttons = document.querySelectorAll('button');
			for (const b of buttons) b.disabled = true;
			try {
				await action(Object.fromEntries([...new FormData(element)]));
			} catch (error) {
				tell(error);
			} finally {
				for (const b of buttons) b.disabled = false;
			}
		});
		return element;
	};
	const tell = (error) => { fault.textContent = error.code ? explain(error) : 'The server cannot be reached. Try again.'; };
	const explain = (error) => {
		const sentence = error.message[0].toUpperCase() + error.message.slice(1);
		return /[.!?]$/.test(sentence) ? sentence : `${sentence}.`;
	};

	const ask = async (query, variables) => session.ask(query, variables, await session.token());

	// withFactor logs in and calls next, after a form for a second factor if there is one.
	const withFactor = async (logIn, next) => {
		try {
			await logIn();
		} catch (error) {
			if (error.code !== 'MFA_REQUIRED') throw error;
			show(...factorForms('Log in', error, [], [], async ({ code, passkey }) => {
				await session.completeLogIn(code, passkey);
				await next();
			}));
			return;
		}
		await next();
	};

	// factorForms are forms for a passkey, if the user has one, and for a code. required is the error MFA_REQUIRED; options returns
	// those for the passkey.
	const factorForms = (button, required, besidePasskey, besideCode, prove, options = () => required.passkeyOptions) => [
		...(required.passkeyOptions && passkeys.supported ? [form('Use a passkey', besidePasskey, async (values) => (
			prove({ ...values, passkey: await passkeys.get(await options()) })))] : []),
		form(button, [...besideCode, oneTimeCode(required.methods)], prove),
	];
	const oneTimeCode = (methods) => field(
		'Code', { name: 'code', autocomplete: 'one-time-code', autocapitalize: 'none', spellcheck: false },
		methods.includes('totp') ? 'Of your authenticator app, or a recovery code.' : 'A recovery code.',
	);

	// loggedIn calls next, after a form to log in unless there is a session.
	const loggedIn = async (then) => {
		if (await session.token()) return then();
		const next = () => {
			passkeys.stop();
			return then();
		};
		show(
			form('Log in', [username('Or your e-mail address.'), password('Password', 'current-password')], (values) => (
				withFactor(() => session.logIn(values.username, values.password), next))),
			byPasskey(next),
			providers.buttons(),
			link('reset-password', 'I have forgotten my password'),
			...(page === 'login' || page === 'home' ? [byEmail(next), link('register', 'Register')] : []),
		);
	};

	// byPasskey offers to log in by a passkey, by a button and among the browser's suggestions for the user name, if the server does.
	const byPasskey = (next) => {
		const place = make('div');
		const start = async () => (await session.ask('mutation Start { startPasskeyLogin { options } }')).startPasskeyLogin.options;
		const logIn = async (passkey) => {
			await session.logInByPasskey(passkey);
			await next();
		};
		const offer = async () => {
			await start();
			place.replaceChildren(form('Log in with a passkey', [], async () => logIn(await passkeys.get(await start()))));
			place.querySelector('button').className = 'quiet';
			if (!await PublicKeyCredential.isConditionalMediationAvailable?.()) return;
			const name = main.querySelector('[name=username]');
			if (!name) return; // the form was sent meanwhile
			name.autocomplete = 'username webauthn';
			await logIn(await passkeys.suggest(start));
		};
		if (passkeys.supported) {
			offer().catch((error) => { // the rest of the page works without
				if (!['FEATURE_DISABLED', 'NO_PASSKEY'].includes(error.code) && error.name !== 'AbortError') tell(error);
			});
		}
		return place;
	};

	const byEmail = (next) => make('details', {}, make('summary', {}, 'Log in by e-mail'),
		form('Send me a code', [email()], async (values) => {
			await ask('mutation Ask($e: String!, $l: String) { requestEmailLogin(input: {email: $e, locale: $l}) { expiresIn } }', { e: values.email, l: locale });
			show(form('Log in', [field('Code', { name: 'code', autocomplete: 'one-time-code', autocapitalize: 'characters', spellcheck: false }, 'Eight letters from the mail, if the address has an account.')], (typed) => (
				withFactor(() => session.logInWith('email: $email, code: $code', '$email: String!, $code: String!', { email: values.email, code: typed.code }), next))));
		}));

	const home = async () => {
		const { me } = await ask('{ me { username email emailVerifiedAt name roles factors { id name } recoveryCodesLeft identities { id provider email } } }');
		const otherWays = await providers.section(me.identities, home);
		const facts = [['User name', me.username], ['E-mail address', me.email ? me.email + (me.emailVerifiedAt ? '' : ' (not confirmed)') : '–'], ['Name', me.name ?? '–'], ['Roles', me.roles.join(', ')]];
		show(
			make('dl', {}, ...facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)])),
			make('h2', {}, 'Change the e-mail address'),
			form('Send a link to the new address', [email()], again(async (values) => {
				await ask('mutation Change($e: String!, $l: String) { changeEmail(input: {email: $e, locale: $l}) { expiresIn } }', { e: values.email, l: locale });
				say(`Open the link that was sent to ${values.email}, in this browser.`);
			})),
			make('h2', {}, 'Second factor'),
			...me.factors.map((factor) => form(`Remove ${factor.name}`, [], again(async () => {
				await ask('mutation Remove($id: ID!) { removeFactor(input: {id: $id}) { factor { id } } }', { id: factor.id });
				await home();
			}))),
			...(me.factors.length ? [make('p', {}, `Recovery codes left: ${me.recoveryCodesLeft}.`)] : []),
			form('Add an authenticator app', [], again(addApp)),
			...(passkeys.supported ? [form('Add a passkey', [], again(addPasskey))] : []),
			...otherWays,
			make('h2', {}, 'Your data'),
			form('Download', [], again(async () => {
				const { exportAccount } = await ask('mutation { exportAccount { data } }');
				const file = new Blob([JSON.stringify(exportAccount.data, null, 2)], { type: 'application/json' });
				const download = make('a', { href: URL.createObjectURL(file), download: 'account.json' });
				download.click();
				setTimeout(() => URL.revokeObjectURL(download.href), 60_000);
			})),
			make('h2', {}, 'Delete the account'),
			form('Delete my account', [choice('I want to delete my account and its data for good.', 'sure')], again(async (values) => {
				if (!values.sure) throw Object.assign(new Error('Confirm by the checkbox'), { code: 'UNCONFIRMED' });
				await ask('mutation { deleteAccount { deletedUserId } }');
				session.forget();
				show(make('p', {}, 'The account was deleted.'));
			})),
			form('Log out', [], async () => {
				await session.logOut();
				location.href = `${root}account/login`;
			}),
		);
	};

	// addApp shows what an authenticator app scans, and after its first code the recovery codes.
	const addApp = async () => {
		const { startTotp } = await ask('mutation { startTotp { secret qrCode } }');
		show(
			make('p', {}, 'Scan this with your authenticator app, or type the secret into it.'),
			make('img', { className: 'qr', alt: 'QR code of the secret', src: `data:image/svg+xml,${encodeURIComponent(startTotp.qrCode)}` }),
			make('p', {}, make('code', {}, startTotp.secret)),
			form('Confirm', [field('Code', { name: 'code', autocomplete: 'one-time-code', inputMode: 'numeric' }, 'The six digits that the app shows.')], async (values) => {
				const { confirmTotp } = await ask('mutation Confirm($c: String!) { confirmTotp(input: {code: $c}) { recoveryCodes } }', { c: values.code });
				await showCodes(confirmTotp.recoveryCodes);
			}),
		);
	};

	const addPasskey = async () => {
		const { startPasskey } = await ask('mutation { startPasskey { options } }');
		const passkey = await passkeys.create(startPasskey.options);
		const { confirmPasskey } = await ask(
			'mutation Confirm($p: String!, $n: String) { confirmPasskey(input: {passkey: $p, name: $n}) { recoveryCodes } }',
			{ p: passkey, n: `Passkey of ${new Date().toLocaleDateString()}` },
		);
		await showCodes(confirmPasskey.recoveryCodes);
	};

	// showCodes shows the recovery codes that come with the first factor.
	const showCodes = async (codes) => {
		if (!codes.length) {
			await home();
			return;
		}
		show(
			make('p', {}, 'Each of these codes replaces the second factor once, if you lose it. They are not shown again: print or store them.'),
			make('pre', { id: 'recovery-codes' }, codes.join('\n')),
			form('I have stored them', [], home),
		);
	};

	// again runs an action; if that needs a recent proof of who the user is, it asks for it and repeats the action.
	const again = (action) => async (values) => {
		try {
			await action(values);
		} catch (error) {
			if (!['REAUTHENTICATION_REQUIRED', 'MFA_REQUIRED'].includes(error.code)) throw error;
			const prove = async (typed) => {
				await ask(
					'mutation Prove($w: String, $c: String, $p: String) { reauthenticate(input: {password: $w, code: $c, passkey: $p}) { authenticatedAt } }',
					{ w: typed.password, c: typed.code, p: typed.passkey },
				);
				await home();
				await action(values);
			};
			const ownPassword = () => password('Your password', 'current-password');
			const { me } = await ask('{ me { factors { id } } }');
			if (!me.factors.length) {
				// A user without a password logs in again.
				show(form('Confirm', [ownPassword()], prove), providers.buttons(), link('reset-password', 'I have no password, or have forgotten it'));
				return;
			}
			const require = async () => {
				const refused = await ask('mutation Ask { reauthenticate(input: {}) { authenticatedAt } }').catch((error) => error);
				if (refused.code !== 'MFA_REQUIRED') throw refused;
				return refused;
			};
			const required = await require();
			const alone = required.passkeyOptions && passkeys.alone(required.passkeyOptions);
			const options = async () => (await require()).passkeyOptions; // the first ones may have expired
			show(...factorForms('Confirm', required, alone ? [] : [ownPassword()], [ownPassword()], prove, options), providers.buttons());
		}
	};

	const providers = LatchkeyProviders({ root, page, token, session, ask, again, withFactor, make, form, link, show, say, explain, fault });

	const pages = {
		home: () => loggedIn(home),
		async login() {
			const toHome = () => { location.href = `${root}account/`; };
			if (!token) return loggedIn(toHome);
			show(form('Log in', [], () => withFactor(() => session.logInWith('token: $token', '$token: String!', { token }), toHome)));
		},
		callback: providers.complete,
		register() {
			if (!token) {
				show(form('Register', [email()], async (values) => {
					try {
						await ask('mutation Register($e: String!, $l: String) { register(input: {email: $e, locale: $l}) { login { expiresAt } } }', { e: values.email, l: locale });
						show(make('p', {}, `Open the link that was sent to ${values.email}.`));
					} catch (error) {
						if (error.field !== 'username') throw error; // the server verifies the address later
						show(form('Create the account', [username('Letters from a to z, digits and . _ + -'), newPassword()], async (chosen) => {
							await ask(`mutation Register($e: String!, $u: String!, $p: String!, $l: String) {
								register(input: {email: $e, username: $u, password: $p, locale: $l}) { login { expiresAt } } }`,
							{ e: values.email, u: chosen.username, p: chosen.password, l: locale });
							await session.logIn(chosen.username, chosen.password);
							location.href = `${root}account/`;
						}));
					}
				}), link('login', 'I have an account'), providers.buttons());
				return;
			}
			show(form('Create the account', [username('Letters from a to z, digits and . _ + -'), newPassword()], async (values) => {
				await ask(`mutation Complete($t: String!, $u: String!, $p: String!, $l: String) {
					completeRegistration(input: {token: $t, username: $u, password: $p, locale: $l}) { expiresAt } }`,
				{ t: token, u: values.username, p: values.password, l: locale });
				await session.logIn(values.username, values.password);
				location.href = `${root}account/`;
			}));
		},
		'reset-password'() {
			if (!token) {
				show(form('Send me a link', [email()], async (values) => {
					await ask('mutation Ask($e: String!, $l: String) { requestPasswordReset(input: {email: $e, locale: $l}) { expiresIn } }', { e: values.email, l: locale });
					show(make('p', {}, `If an account has the address ${values.email}, a link was sent to it.`));
				}));
				return;
			}
			show(form('Set the password', [newPassword(), choice('Revoke my API tokens and unlink other providers too, because another person may have used my account.', 'revoke')], async (values) => {
				const { resetPassword } = await ask(`mutation Reset($t: String!, $p: String!, $r: Boolean!) {
					resetPassword(input: {token: $t, newPassword: $p, revokeApiTokens: $r, unlinkIdentities: $r}) { remainingApiTokens remainingIdentities remainingFactors } }`,
				{ t: token, p: values.password, r: Boolean(values.revoke) });
				session.forget();
				const { remainingApiTokens: tokens, remainingIdentities: identities, remainingFactors: factors } = resetPassword;
				const left = (tokens + identities ? ` API tokens that are still valid: ${tokens}. Other providers that can log in: ${identities}.` : '')
					+ (factors ? ` Second factors and passkeys: ${factors}. If you do not know one of them, ask an administrator to remove them.` : '');
				show(make('p', {}, `The password was changed, and all sessions have ended.${left}`), link('login', 'Log in'));
			}));
		},
		'verify-email': () => (token ? loggedIn(() => show(form('Confirm the address', [], async () => {
			const { verifyEmail } = await ask('mutation Verify($t: String!) { verifyEmail(input: {token: $t}) { user { email } } }', { t: token });
			show(make('p', {}, `${verifyEmail.user.email} is the address of your account.`), link('', 'Your account'));
		}))) : incomplete()),
		'undo-email-change': () => (token ? show(
			make('p', {}, 'Your address is restored, all sessions end, API tokens, links to other providers and new second factors are removed, and a link for a new password is sent to you.'),
			form('Restore my address', [], async () => {
				await ask('mutation Undo($t: String!) { undoEmailChange(input: {token: $t}) { restored } }', { t: token });
				session.forget();
				show(make('p', {}, 'Your address was restored. Open the link for a new password that was sent to it.'));
			}),
		) : incomplete()),
	};
	const incomplete = () => { fault.textContent = 'Open this page by the link in the mail.'; };

	Promise.resolve(pages[page]()).catch((error) => { fault.textContent = error.code ? explain(error) : 'The server cannot be reached. Load the page again.'; });
})();
