package main

// The server's own pages, invitations, and sessions that end by themselves.
func pages() []mutation {
	const threats = "./test/threats"
	return []mutation{
		{
			"T290: the callback page's URL is compared literally", "auth/provider.go",
			"slices.Contains(l.redirects, uri)", "slices.ContainsFunc(l.redirects, func(r string) bool { return strings.HasPrefix(uri, r) })",
			threats, "TestT290_",
		},
		{
			"T290: without the server's pages theirs is not allowed", "app/settings_login.go",
			"if !pages || !cookieHost(s.Issuer) {", "if !cookieHost(s.Issuer) {",
			"./test/server", "TestProvidersSendUsersBackToTheServersOwnPages",
		},
		{
			"T291: pages send no Referer header", "internal/static/static.go",
			`"Referrer-Policy":            "no-referrer",`, `"Referrer-Policy":            "unsafe-url",`,
			threats, "TestT291_",
		},
		{
			"T291: pages with parameters are not stored", "internal/static/static.go",
			`return "no-store"`, `return "no-cache"`,
			threats, "TestT291_",
		},
		{
			"T292: a redirect is completed by who began", "auth/provider.go",
			`hashedKey("provider login", state, verifier)`, `hashedKey("provider login", state)`,
			threats, "TestT292_",
		},
		{
			"T293: invitations are listed for those who may invite", "auth/accounts.go",
			"func (s *Service) Invitations(ctx context.Context, p db.Page) (db.PageOf[db.Link], error) {\n\tif err := ViewerFrom(ctx).Require([]string{\"users:write\"}); err != nil {",
			"func (s *Service) Invitations(ctx context.Context, p db.Page) (db.PageOf[db.Link], error) {\n\tif err := ViewerFrom(ctx).Authenticated(); err != nil {",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T293: revokeInvitation revokes only invitations", "db/link.go",
			"WHERE id = $1 AND kind = $2 AND used_at IS NULL AND expires_at > $3`, id", "WHERE id = $1 AND kind <> $2 || 'x' AND used_at IS NULL AND expires_at > $3`, id",
			"./test/server", "TestInvitationsAreListed",
		},
		{
			"T294: the schema asks for a recent login", "graph/generated/root_.generated.go",
			"deleteAccount: DeleteAccountPayload @credentials @recentAuth @authenticated", "deleteAccount: DeleteAccountPayload @credentials @authenticated",
			threats, "TestT294_",
		},
		{
			"T294: @recentAuth without a duration means the setting", "auth/stepup.go",
			"err != nil || s.recentSince(v.AuthenticatedAt, within) {", "err != nil || within == 0 || s.recentSince(v.AuthenticatedAt, within) {",
			"./graph", "TestStepUpDirectivesLetOnlySessionsPass",
		},
		{
			"T295: what has ended does not expire", "db/session.go",
			"if s.EndedAt == nil && s.CheckAt == nil {", "if s.CheckAt == nil {",
			"./auth", "TestASessionThatExpires",
		},
		{
			"T295: what was refreshed is looked at again", "db/session.go",
			"WHEN idle_at < expires_at THEN idle_at", "WHEN idle_at < expires_at THEN NULL",
			"./auth", "TestASessionThatExpires",
		},
		{
			"T295: batches are small", "db/session.go",
			"ORDER BY check_at LIMIT $2)", "ORDER BY check_at LIMIT 2 * $2)",
			"./auth", "TestManySessionsThatExpire",
		},
		{
			"T295: a session that a newer one ends is an event", "auth/login.go",
			"for _, id := range ids {", "for _, id := range ids[:0] {",
			"./auth", "TestASessionThatANewerOne",
		},
		{
			"T296: the former address is told", "auth/user.go",
			"if s.accounts.Send == nil || former == nil ||", "if s.accounts.Send != nil || former == nil ||",
			threats, "TestT296_",
		},
		{
			"T297: the former address gets no link", "auth/user.go",
			"s.newMail(mailEmailReplaced, *former", "s.newMail(mailUndoEmail, *former",
			threats, "TestT297_",
		},
		{
			"T297: earlier links are void", "auth/user.go",
			`tx.RevokeLinks(ctx, u.ID, "", now), s.tell`, `tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now), s.tell`,
			threats, "TestT297_",
		},
		{
			"T298: a link is used up with the session", "auth/login.go",
			"if err := p.useUp(tx); err != nil {", "if err := error(nil); err != nil {",
			"./auth", "TestALinkToLogIn",
		},
		{
			"T298: a link is used up with the challenge", "auth/secondfactor.go",
			"if err := p.useUp(tx); err != nil {", "if err := error(nil); err != nil {",
			"./auth", "TestALinkToLogIn",
		},
	}
}
