// The bar above GraphiQL: a form to log in, or who is logged in.
const LatchkeyBar = (session) => {
	'use strict';

	const form = document.getElementById('login');
	const askForCode = document.getElementById('code');
	const viewer = document.getElementById('viewer');
	const name = document.getElementById('viewer-name');
	const scopes = document.getElementById('viewer-scopes');
	const left = document.getElementById('viewer-left');
	const logout = document.getElementById('logout');
	const message = document.getElementById('bar-message');

	// needCode shows or hides the field for a code of the second factor.
	const needCode = (needed) => {
		askForCode.hidden = !needed;
		form.elements.code.required = needed;
		form.elements.username.readOnly = form.elements.password.readOnly = needed;
		if (needed) form.elements.code.focus();
	};

	// attempt runs the action of a button; while it runs, the bar takes no other. Then the keyboard is at the next element.
	const attempt = async (action, next) => {
		message.textContent = '';
		const buttons = document.querySelectorAll('#bar button');
		for (const button of buttons) button.disabled = true;
		try {
			await action();
		} catch (error) {
			message.textContent = error.code ? error.message : 'The server cannot be reached.';
			if (error.code === 'MFA_REQUIRED') {
				message.textContent = 'Enter a code of your authenticator app, or a recovery code.';
				needCode(true);
			} else if (error.field === 'challenge') needCode(false); // log in again
		} finally {
			for (const button of buttons) button.disabled = false;
		}
		if (!message.textContent) next.focus();
	};

	form.addEventListener('submit', (event) => {
		event.preventDefault();
		const { username, password, code } = form.elements;
		attempt(async () => {
			if (askForCode.hidden) await session.logIn(username.value, password.value);
			else await session.completeLogIn(code.value);
			form.reset();
			needCode(false);
		}, logout);
	});
	logout.addEventListener('click', () => attempt(() => session.logOut(), form.elements.username));

	const clock = () => {
		const seconds = session.secondsLeft;
		left.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
	};
	const show = () => {
		const user = session.viewer;
		form.hidden = user !== null;
		viewer.hidden = user === null;
		if (!user) return;
		name.textContent = user.username;
		scopes.textContent = [user.roles.join(', '), user.scopes.join(' ')].filter(Boolean).join(': ');
		clock();
	};
	session.onChange(show);
	show();
	setInterval(() => {
		if (!session.viewer) return;
		clock();
		session.token().catch(() => {}); // refreshes in time; the next second tries again
	}, 1000);
};
