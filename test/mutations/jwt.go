package main

// JWT.
func jwt() []mutation {
	return []mutation{
		{
			"T53 T54 T55 T56 T58: signatures are verified", "token/access.go",
			`_, err := r.parser().ParseWithClaims(text, c, func(`, `_, _, err := r.parser().ParseUnverified(text, c)
	_, _ = r.parser().ParseWithClaims(text, new(Claims), func(`,
			"./test/threats", "TestT053_|TestT054_",
		},
		{
			"T55: a short secret stops the start", "auth/keys/secret.go",
			"if len(text) < minSecretBytes {", "if len(text) < 1 {",
			"./auth/keys", "TestASecretMustBeLong",
		},
		{
			"T55: a secret of one repeated character stops the start", "auth/keys/secret.go",
			"if strings.Count(text, text[:1]) == len(text) {", "if strings.Count(text, text[:1]) < 0 {",
			"./auth/keys", "TestASecretMustBeLong",
		},
		{
			"T57: a key ID that cannot be ours asks no database", "auth/keys/ring.go",
			"&& token.IsID(db.KeyID, id) && ", "&& ",
			"./test/threats", "TestT057_",
		},
		{
			"T57: unknown keys are looked for once a second", "auth/keys/ring.go",
			"if r.asked != 0 && now < r.asked+time.Second {", "if r.asked != 0 && now < r.asked {",
			"./test/threats", "TestT057_",
		},
		{
			"T58 T63: a header has our three members alone", "token/access.go",
			"len(t.Header) != 3 || ", "",
			"./test/threats", "TestT058_|TestT062_",
		},
		{
			"T59: a token must expire", "token/access.go",
			"jwt.WithExpirationRequired(), ", "",
			"./test/threats", "TestT059_",
		},
		{
			"T59 T60 T69: clocks differ by 30 seconds at most", "token/token.go",
			"const ClockSkew = 30 * time.Second", "const ClockSkew = 3000 * time.Second",
			"./test/threats", "TestT059_",
		},
		{
			"T59: expiry is verified", "token/access.go",
			"return numericDate(c.Expiry), nil", "return numericDate(c.Expiry + 1e6*min(c.Expiry, 1)), nil",
			"./test/threats", "TestT059_",
		},
		{
			"T60: a token issued in the future is refused", "token/access.go",
			"jwt.WithIssuedAt(), ", "",
			"./test/threats", "TestT059_",
		},
		{
			"T60: a token must say when it was issued", "token/access.go",
			"c.IssuedAt == 0 || ", "",
			"./test/threats", "TestT059_",
		},
		{
			"T60: a token that is not valid yet is refused", "token/access.go",
			"return numericDate(c.NotBefore), nil", "return nil, nil",
			"./test/threats", "TestT059_",
		},
		{
			"T61: the issuer is verified", "token/access.go",
			"jwt.WithIssuer(r.Issuer), ", "",
			"./test/threats", "TestT061_",
		},
		{
			"T61: the audience is verified", "token/access.go",
			"jwt.WithAudience(r.Audience),", "",
			"./test/threats", "TestT061_",
		},
		{
			"T62: the type of a token is verified", "token/access.go",
			` || t.Header["typ"] != typ {`, ` {`,
			"./test/threats", "TestT062_",
		},
		{
			"T64: the subject is a user's ID", "token/access.go",
			`!IsID("user", c.Subject) || `, "",
			"./test/threats", "TestT064_",
		},
		{
			"T64: the session is a session's ID", "token/access.go",
			` || !IsID("session", c.SessionID)`, "",
			"./test/threats", "TestT064_",
		},
		{
			"T64: a token has an ID", "token/access.go",
			`c.ID == "" || `, "",
			"./test/threats", "TestT064_",
		},
		{
			"T64: the session is the subject's", "auth/middleware.go",
			"|| err == nil && o.User.ID != c.Subject {", "{",
			"./test/threats", "TestT064_",
		},
		{
			"T65: tokens in the header have at most 4 KiB", "token/token.go",
			`text == "" || len(text) > maxBytes`, `text == ""`,
			"./auth", "TestWhoIsCalling|FuzzAuthorizationHeader",
		},
		{
			"T65 T93: headers have at most 32 KiB", "app/serve.go",
			"MaxHeaderBytes:    32 << 10,", "MaxHeaderBytes:    8 << 20,",
			"./test/threats", "TestT065_",
		},
		{
			"T66: base64 has one spelling", "token/access.go",
			", jwt.WithStrictDecoding()", "",
			"./test/threats", "TestT066_",
		},
		{
			"T66: a token has base64's characters alone, wherever it comes from", "auth/middleware.go",
			"case !token.Plausible(text):", `case text == "":`,
			"./test/threats", "TestT066_",
		},
		{
			"T67: access tokens live 15 minutes at most", "app/settings.go",
			"|| s.AccessTTL > auth.MaxAccess", "",
			"./test/threats", "TestT067_",
		},
		{
			"T67: an access token has no user name", "auth/accesstoken.go",
			`ClientID: "latchkey"`, "ClientID: u.Username",
			"./test/threats", "TestT067_",
		},
		{
			"T67: an access token ends with its session", "auth/login.go",
			"if end := session.RefreshExpiry(); end.Before(expires) {", "if end := session.RefreshExpiry(); end.IsZero() {",
			"./auth", "TestAnAccessTokenExpiresWith",
		},
		{
			"T68: a key is published before it signs", "auth/keys/rotation.go",
			"activeAt := now.Add(lead)", "activeAt := now",
			"./test/threats", "TestT068_",
		},
		{
			"T68: a retired key verifies nothing", "auth/keys/ring.go",
			"if row.RetiredAt != nil {", "if row.RetiredAt != nil && len(rows) == 0 {",
			"./test/threats", "TestT068_",
		},
		{
			"T68: what a retired key signed is forgotten", "auth/keys.go",
			"s.cache.forgetAll()", "",
			"./test/threats", "TestT068_",
		},
		{
			"T68: open sockets of a retired key's tokens close", "auth/keys.go",
			"s.watchers.changed(\"\")", "",
			"./test/threats", "TestT068_",
		},
		{
			"T68: other processes are told of a change of keys", "auth/keys/rotation.go",
			"return tx.Notify(ctx, db.Notice{Keys: true, EventID: e.ID})", "return nil",
			"./test/threats", "TestT068_",
		},
		{
			"T68: the last signing key is not retired", "auth/keys/rotation.go",
			"if !slices.ContainsFunc(others, func(k *db.SigningKey) bool { return !now.Before(k.ActiveAt.Time) }) {", "if false && others == nil {",
			"./auth", "TestARetiredKey",
		},
		{
			"T68: the previous secret still opens keys", "auth/keys/secret.go",
			"for _, s := range all {\n\t\tif plain", "for _, s := range all[:1] {\n\t\tif plain",
			"./auth", "TestAChangeOfTheSecret",
		},
		{
			"T68: the previous secret still verifies refresh tokens", "auth/refreshtoken.go",
			"for _, s := range all {", "for _, s := range all[:1] {",
			"./auth", "TestAChangeOfTheSecret",
		},
		{
			"T69: a revocation is a flag and no time", "auth/middleware.go",
			"if err := sessionError(o, s.timestamp(), Revoked); err != nil {", "if err := sessionError(o, s.timestamp(), Revoked); err != nil && (o.Session.EndedAt == nil || time.Unix(c.IssuedAt, 0).Before(o.Session.EndedAt.Time)) {",
			"./test/threats", "TestT069_",
		},
	}
}
