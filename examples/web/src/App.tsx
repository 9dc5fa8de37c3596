import { useSession } from '@latchkey/apollo/react';
import { useEffect, useRef, useSyncExternalStore, type ReactElement } from 'react';
import { Events, eventName, useEvents } from './Events';
import { Login } from './Login';
import { Profile } from './Profile';
import { Sessions } from './Sessions';
import { Tokens } from './Tokens';
import { Users } from './Users';

export function App() {
	const { viewer } = useSession();
	return viewer ? <Account key={viewer.id} /> : <Login />;
}

function Account() {
	const { viewer, session } = useSession();
	const events = useEvents();
	const pages: Record<string, ReactElement> = {
		Profile: <Profile />,
		Sessions: <Sessions />,
		Tokens: <Tokens />,
		Events: <Events events={events} />,
		...(viewer!.scopes.includes('users:read') && { Users: <Users /> }),
	};
	const hash = useHash();
	const page = hash in pages ? hash : 'Profile';
	const main = useRef<HTMLElement>(null);
	useEffect(() => void (document.title = `${page} – Latchkey`), [page]);
	useEffect(() => onHashChange(() => {
		main.current!.focus({ preventScroll: true }); // a screen reader begins with the new page
		scrollTo(0, 0);
	}), []);

	return (
		<>
			<header>
				<a className="brand" href="#Profile"><img src="/key.svg" alt="" />Latchkey</a>
				<nav aria-label="Pages">
					{Object.keys(pages).map((name) => (
						<a key={name} href={`#${name}`} aria-current={name === page ? 'page' : undefined}>
							{name}
							{name === 'Events' && events.length > 0 && <span className="count">{events.length}</span>}
						</a>
					))}
				</nav>
				<span className="viewer">{viewer!.username}</span>
				<button className="quiet" onClick={() => session.logout().catch(() => {})}>Log out</button>
			</header>
			<main ref={main} tabIndex={-1}>{pages[page]}</main>
			<p role="status" className="hidden">{events[0] && `New event: ${eventName(events[0])}`}</p>
		</>
	);
}

/** Returns the page of the address, which the back button changes too. */
function useHash(): string {
	return useSyncExternalStore(onHashChange, () => location.hash.slice(1));
}

function onHashChange(listener: () => void) {
	addEventListener('hashchange', listener);
	return () => removeEventListener('hashchange', listener);
}
