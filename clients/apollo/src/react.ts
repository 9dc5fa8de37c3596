import { createContext, createElement, useContext, useSyncExternalStore, type ReactElement, type ReactNode } from 'react';
import type { Session, SessionState, Viewer } from './session.js';

const Context = createContext<Session | null>(null);
const NOBODY: SessionState = { viewer: null, endedBy: null };

/** Gives the session to the hooks below it. Make the session outside of components, as the Apollo client. */
export function SessionProvider({ session, children }: { session: Session; children?: ReactNode }): ReactElement {
	return createElement(Context.Provider, { value: session }, children);
}

/** Returns the session and what it shows; the component renders again when that changes. On a server nobody is logged in. */
export function useSession(): SessionState & { session: Session } {
	const session = useContext(Context);
	if (!session) throw new Error('useSession needs a SessionProvider above it');
	const state = useSyncExternalStore(session.subscribe, () => session.state, () => NOBODY);
	return { ...state, session };
}

/** Returns who is logged in, or null. */
export function useViewer(): Viewer | null {
	return useSession().viewer;
}
