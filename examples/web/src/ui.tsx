import { latchkeyErrors } from '@latchkey/apollo';
import { useEffect, useState, useTransition, type ComponentProps, type FormEvent, type ReactNode } from 'react';

/** A page or a part of one. */
export function Section({ title, about, children }: { title: string; about?: ReactNode; children: ReactNode }) {
	return (
		<section>
			<h1>{title}</h1>
			{about && <p className="about">{about}</p>}
			{children}
		</section>
	);
}

/** One thing of a list: what it is, what there is to know, what one can do. */
export function Row({ title, badge, children, action }: Record<'title' | 'children', ReactNode> & { badge?: ReactNode; action?: ReactNode }) {
	return (
		<li>
			<div>
				<strong>{title}</strong>
				{badge && <span className="badge">{badge}</span>}
				<p>{children}</p>
			</div>
			{action}
		</li>
	);
}

/** A labelled field. */
export function Field({ label, ...input }: { label: string } & ComponentProps<'input'>) {
	return <label>{label}<input {...input} /></label>;
}

/** A time, in the reader's language and zone. */
export function Time({ at }: { at: string | null | undefined }) {
	if (!at) return 'never';
	return <time dateTime={at}>{new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })}</time>;
}

/** What went wrong, if anything did. */
export function Failure({ of }: { of: unknown }) {
	if (!of) return null;
	const [error] = latchkeyErrors(of);
	const wait = error?.retryAfter && ` Try again in ${error.retryAfter} seconds.`;
	return <p role="alert" className="failure">{error?.message ?? 'The server did not answer.'}{wait}</p>;
}

/** Shortens a User-Agent to what people know of it. */
export function deviceName(userAgent: string): string {
	const browser = /(Firefox|Edg|Chrome|Safari)\//.exec(userAgent)?.[1]?.replace('Edg', 'Edge');
	const system = /(Windows|iPhone|iPad|Android|Mac OS X|Linux)/.exec(userAgent)?.[1];
	return browser ? [browser, system].filter(Boolean).join(' on ') : userAgent || 'Unknown device';
}

/** Returns the value as it was when it last stood still. */
export function useSettled<T>(value: T, milliseconds = 250): T {
	const [settled, settle] = useState(value);
	useEffect(() => {
		const timer = setTimeout(() => settle(value), milliseconds);
		return () => clearTimeout(timer);
	}, [value, milliseconds]);
	return settled;
}

/** Runs what a form is for. The form is emptied if that succeeds. */
export function useSubmit(act: (values: FormData) => Promise<unknown>) {
	const [failure, setFailure] = useState<unknown>(null);
	const [pending, start] = useTransition();
	function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = event.currentTarget;
		start(async () => {
			try {
				await act(new FormData(form));
				form.reset();
				setFailure(null);
			} catch (error) {
				setFailure(error);
			}
		});
	}
	return { failure, pending, submit };
}
