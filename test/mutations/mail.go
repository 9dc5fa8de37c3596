package main

// Links and codes that are sent by mail.
func mailed() []mutation {
	return []mutation{
		{
			"T13: the owner of a registered address gets a mail too", "auth/mailer.go",
			"return mailAddressInUse, nil\n\t\t}\n\tcase mailVerifyEmail:", "return \"\", nil\n\t\t}\n\tcase mailVerifyEmail:",
			"./test/threats", "TestT013_WhetherAnAddress",
		},
		{
			"T14 T199: an address gets few mails", "auth/accounts.go",
			"mailsToAddress   = db.ThrottleRule{Free: 3,", "mailsToAddress   = db.ThrottleRule{Free: 3000,",
			"./test/threats", "TestT014_AFlood",
		},
		{
			"T200: a client has few mails sent", "auth/accounts.go",
			"mailsByClient    = db.ThrottleRule{Free: 20,", "mailsByClient    = db.ThrottleRule{Free: 20000,",
			"./test/threats", "TestT014_AFlood",
		},
		{
			"T15 T201: a link is used once", "db/link.go",
			"SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND expires_at > $2`", "SET used_at = $2 WHERE id = $1`",
			"./test/threats", "TestT201_",
		},
		{
			"T202: a reset revokes other links", "auth/reset.go",
			"errors.Join(useLink(ctx, tx, link, now), tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now))", "useLink(ctx, tx, link, now)",
			"./test/threats", "TestT015_AResetLink",
		},
		{
			"T202: a change of the password revokes links", "auth/user.go",
			"tx.RevokeLinks(ctx, u.ID, mailUndoEmail, now), s.notify(ctx, tx, mailPasswordChanged, changed))", "s.notify(ctx, tx, mailPasswordChanged, changed))",
			"./test/threats", "TestT015_AResetLink",
		},
		{
			"T202 T211: a disabled user's link is void", "auth/reset.go",
			"(u.DisabledAt != nil || u.Email == nil", "(u.Email == nil",
			"./test/threats", "TestT015_AResetLink|TestT211_",
		},
		{
			"T202: a link to a former address is void", "auth/reset.go",
			"u.Email == nil || *u.Email != link.Email)", "u.Email == nil)",
			"./test/threats", "TestT015_AResetLink|TestT208_TheOwner",
		},
		{
			"T203: a link does only what it is for", "auth/link.go",
			"(!link.Live(s.timestamp()) || !slices.Contains(kinds, link.Kind))", "!link.Live(s.timestamp())",
			"./test/threats", "TestT203_",
		},
		{
			"T204: a link has a MAC", "auth/link.go",
			"return subtle.ConstantTimeCompare([]byte(token), []byte(mintLinkToken(s, id))) == 1", "return s != nil",
			"./test/threats", "TestT204_",
		},
		{
			"T206 T207: an address is verified by the account that asked", "auth/email.go",
			"if link.UserID == nil || *link.UserID != viewer.ID {", "if link.UserID == nil {",
			"./test/threats", "TestT206_",
		},
		{
			"T208: changing the address needs a recent password", "auth/email.go",
			"if err := s.recent(ctx, tx); err != nil {", "if err := error(nil); err != nil {",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T208: undoing a change revokes the password", "auth/email.go",
			`u.PasswordHash, u.UpdatedAt = &link.Email, &now, "", now`, `u.PasswordHash, u.UpdatedAt = &link.Email, &now, u.PasswordHash, now`,
			"./test/threats", "TestT208_TheOwner",
		},
		{
			"T208: undoing a change revokes later links", "auth/email.go",
			"tx.RevokeLinksSince(ctx, u.ID, mailUndoEmail, link.CreatedAt, now), s.rem", "s.rem",
			"./test/threats", "TestT208_TheOwner",
		},
		{
			"T208: undoing a later change revokes no earlier link", "auth/email.go",
			"tx.RevokeLinksSince(ctx, u.ID, mailUndoEmail, link.CreatedAt, now)", "tx.RevokeLinks(ctx, u.ID, \"\", now)",
			"./test/threats", "TestT208_TheOwner",
		},
		{
			"T208: undoing a change removes what a thief has added", "auth/email.go",
			", s.removeTakeover(ctx, tx, u.ID, link))", ")",
			"./test/threats", "TestT208_TheOwner",
		},
		{
			"T208: an API token sets no address", "auth/user.go",
			"if changes.Email != nil && s.opensByMail() {", "if changes.Email != nil && changes.Roles != nil {",
			"./test/threats", "TestT208_AnAPIToken",
		},
		{
			"T206: registering is counted before the password is hashed", "auth/accounts.go",
			"\tif err := s.limitAccounts(ctx); err != nil {\n\t\treturn nil, err\n\t}\n\tu, err := s.newUser(ctx, *in.Username", "\tu, err := s.newUser(ctx, *in.Username",
			"./test/threats", "TestT206_Registering",
		},
		{
			"T209: the sender of an invitation may still give its roles", "auth/accounts.go",
			`if by.DisabledAt != nil || !has.include([]string{"users:write"}) || !has.include(s.rights.Granted(u.Roles)) {`, `if has == nil {`,
			"./test/threats", "TestT209_",
		},
		{
			"T210: wrong codes are throttled", "auth/emaillogin.go",
			`s.attempt(ctx, "code "+email,`, `s.attempt(ctx, "code "+ViewerFrom(ctx).Client.RequestID,`,
			"./test/threats", "TestT210_",
		},
		{
			"T211: a disabled user gets no link", "auth/mailer.go",
			"case owner != nil && owner.DisabledAt == nil:", "case owner != nil:",
			"./test/threats", "TestT211_",
		},
		{
			"T212 T220: a locale is a language tag", "auth/accounts.go",
			"if len(locale) > maxLocale || strings.ContainsFunc(locale, notInLocale) {", "if len(locale) > 5000 {",
			"./test/threats", "TestT212_",
		},
		{
			"T213: the whole domain is compared", "auth/accounts.go",
			"return strings.EqualFold(d, domain)", "return strings.HasSuffix(domain, d)",
			"./test/threats", "TestT213_",
		},
		{
			"T216: STARTTLS is required", "mail/smtp.go",
			"smtp.WithTLSPolicy(smtp.TLSMandatory)", "smtp.WithTLSPolicy(smtp.TLSOpportunistic)",
			"./mail", "TestMailIsNotSentWithoutTLS",
		},
		{
			"T218: deleting an account needs a recent password", "auth/ownaccount.go",
			"errors.Join(s.recent(ctx, tx), tx.LockAdministrators(ctx))", "tx.LockAdministrators(ctx)",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T218: exporting data needs a recent password", "auth/ownaccount.go",
			"if err := s.recent(ctx, s.db); err != nil {", "if err := error(nil); err != nil {",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T219: the token is in the fragment", "auth/mailer.go",
			`linkPages[row.Kind] + "#" +`, `linkPages[row.Kind] + "?" +`,
			"./test/threats", "TestT015_Links",
		},
	}
}
