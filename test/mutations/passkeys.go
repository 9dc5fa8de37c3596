package main

// Passkeys.
func passkeys() []mutation {
	const (
		file   = "auth/passkey.go"
		login  = "auth/passkeylogin.go"
		signed = "session := webauthn.SessionData{Challenge: challenge, UserID: owner.WebAuthnID()}"
		object = "object := &created.Response.AttestationObject\n"
	)
	return []mutation{
		{
			"T271: a passkey is used at the pages of the settings", file,
			signed, "session := webauthn.SessionData{Challenge: challenge, UserID: owner.WebAuthnID(), Origin: a.Response.CollectedClientData.Origin}",
			"./test/threats", "TestT271_",
		},
		{
			"T271: a passkey is added at the pages of the settings", file,
			"CredParams: webauthn.CredentialParametersRecommendedL3()}", "CredParams: webauthn.CredentialParametersRecommendedL3(), Origin: created.Response.CollectedClientData.Origin}",
			"./test/threats", "TestT271_",
		},
		{
			"T271: the pages of the settings are in the domain", "app/settings_login.go",
			`strings.HasSuffix(host, "."+domain)`, `strings.HasSuffix(host, domain)`,
			"./app", "TestPasskeysAreOfTheDomainOfTheirPages",
		},
		{
			"T272: a passkey is of the domain", file,
			signed, signed + "\n\thash := sha256.Sum256([]byte(p.Config.RPID))\n\ta.Response.AuthenticatorData.RPIDHash = hash[:]",
			"./test/threats", "TestT272_",
		},
		{
			"T272: a passkey is added for the domain", file,
			object, object + "\thash := sha256.Sum256([]byte(p.Config.RPID))\n\tobject.AuthData.RPIDHash = hash[:]\n",
			"./test/threats", "TestT272_",
		},
		{
			"T273: a challenge is answered once", file,
			"if err == nil && !first {", "if err == nil && !first && text == \"\" {",
			"./test/threats", "TestT273_",
		},
		{
			"T274: a challenge has a MAC", file,
			"return hmac.Equal(raw[challengeBody:], c.mac(secret, body))", "return len(body) > 0 || hmac.Equal(raw[challengeBody:], c.mac(secret, body))",
			"./test/threats", "TestT274_",
		},
		{
			"T274: a challenge is for one session or log-in", file,
			"body, c.purpose, c.of)", "body, c.purpose, \"\")",
			"./test/threats", "TestT274_",
		},
		{
			"T274: a challenge ends after five minutes", file,
			"if !ok || !expires.After(s.now()) {", "if !ok {",
			"./test/threats", "TestT274_",
		},
		{
			"T275: the counter grows", "db/passkey.go",
			"AND (sign_count < $2 OR sign_count = 0 AND $2 = 0)", "AND $2 >= 0",
			"./test/threats", "TestT275_",
		},
		{
			"T275: a copy is an event of its own", login,
			"	if isCopied {\n\t\terr =", "	if isCopied && u.ID == \"\" {\n\t\terr =",
			"./test/threats", "TestT275_",
		},
		{
			"T275: refusals of others do not hide a copy", login,
			"	if isCopied { //", "	if isCopied && u.ID == \"\" { //",
			"./test/threats", "TestT275_",
		},
		{
			"T277: a PIN that is set later does not make a passkey both factors", login,
			"if c.verified && !used.Verified {", "if c.verified && !used.Verified && u.ID == \"\" {",
			"./test/threats", "TestT277_",
		},
		{
			"T275: the user is told of a copy", login,
			"if err == nil && wait == 0 {", "if err == nil && wait < 0 {",
			"./test/threats", "TestT275_",
		},
		{
			"T275: a copy does not flood the user with mail", login,
			"if err == nil && wait == 0 {", "if err == nil && wait >= 0 {",
			"./test/threats", "TestT275_",
		},
		{
			"T276: a passkey is of one user", "db/migrations/00060_passkeys.sql",
			"CREATE UNIQUE INDEX passkeys_credential_id", "CREATE INDEX passkeys_credential_id",
			"./test/threats", "TestT276_",
		},
		{
			"T276: who logs in without a name is whom the authenticator names", login,
			"err == nil && string(a.Response.UserHandle) != p.UserID {", "err == nil && p.UserID == \"\" {",
			"./test/threats", "TestT276_",
		},
		{
			"T277: alone, a passkey verifies its user", file,
			"	if verified {\n", "	if verified && challenge == \"\" {\n",
			"./test/threats", "TestT277_",
		},
		{
			"T277: without the password, reauthenticate needs the user verified", "auth/stepup.go",
			`SessionID, in.Password == "" && s.passkeys.login}`, `SessionID, in.Password == "x" && s.passkeys.login}`,
			"./test/threats", "TestT277_",
		},
		{
			"T277: each use needs a touch", file,
			signed, signed + "\n\ta.Response.AuthenticatorData.Flags |= protocol.FlagUserPresent",
			"./test/threats", "TestT277_",
		},
		{
			"T278: no options for a stolen session", file,
			"if err := s.mayAddPasskey(ctx, s.db, u.ID); err != nil {", "if err := s.mayAddPasskey(ctx, s.db, u.ID); err != nil && u.ID == \"\" {",
			"./test/threats", "TestT278_",
		},
		{
			"T278: no passkey for a stolen session", file,
			"if err := s.mayAddPasskey(ctx, tx, u.ID); err != nil {", "if err := s.mayAddPasskey(ctx, tx, u.ID); err != nil && u.ID == \"\" {",
			"./test/threats", "TestT278_",
		},
		{
			"T278: a passkey is added in the session that has begun", file,
			`ceremony{"add", userID + " " + sessionID, false}`, `ceremony{"add", userID + " " + sessionID[:0], false}`,
			"./test/threats", "TestT278_",
		},
		{
			"T279: a registration is no log-in", file,
			signed, signed + "\n\ta.Response.CollectedClientData.Type = protocol.AssertCeremony",
			"./test/threats", "TestT279_",
		},
		{
			"T279: a log-in is no registration", file,
			object, object + "\tcreated.Response.CollectedClientData.Type = protocol.CreateCeremony\n",
			"./test/threats", "TestT279_",
		},
		{
			"T280: what a client sends is bounded", file,
			"if len(text) > maxPasskey {", "if len(text) > 1000*maxPasskey {",
			"./test/threats", "TestT280_",
		},
		{
			"T280: public keys are bounded", file,
			"if len(c.PublicKey) > maxPublicKey ||", "if len(c.PublicKey) > 100*maxPublicKey ||",
			"./test/threats", "TestT280_",
		},
		{
			"T280: attestation is not read", file,
			"object.Format, object.AttStatement, object.SubStatements = string(protocol.AttestationFormatNone), nil, nil", "object.SubStatements = nil",
			"./test/threats", "TestT280_",
		},
		{
			"T281: refused passkeys of a client are limited", login,
			"Free: 25, Max: 5 * time.Minute,", "Free: 2500, Max: 5 * time.Minute,",
			"./test/threats", "TestT281_",
		},
		{
			"T281: refused passkeys are recorded", login,
			`err = s.record(ctx, s.event(ctx, kind, u.ID, sessionID, "by a passkey"))`, `s.log.Debug("not recorded", "kind", kind, "session", sessionID)`,
			"./test/threats", "TestT281_",
		},
		{
			"T282: answered challenges are deleted", "auth/housekeeping.go",
			"h.db.DeleteExpiredPasskeyChallenges(ctx, now.Add(-time.Hour))", "nil",
			"./auth", "TestPasskeyChallenges",
		},
		{
			"T283: the passkey that is the last way in stays", "auth/factor.go",
			"if removed.Kind == db.FactorPasskey {", "if removed.Kind == db.FactorPasskey && id == \"\" {",
			"./test/threats", "TestT283_",
		},
		{
			"T283: a passkey that needs a password is no way in", "auth/identity.go",
			"if p.LogsIn {", "if p.LogsIn || p.Name != \"\" {",
			"./test/threats", "TestT283_",
		},
		{
			"T284: a thief's passkey goes with the thief's address", "auth/email.go",
			"tx.DeleteFactorsSince(ctx, userID, link.CreatedAt.Add(-mailLifetimes[mailUndoEmail])))", "nil)",
			"./test/threats", "TestT284_",
		},
	}
}
