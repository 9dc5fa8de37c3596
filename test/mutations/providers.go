package main

// Log-in by other providers.
func loginProviders() []mutation {
	const threats, server = "./test/threats", "./test/server"
	return []mutation{
		{
			"T251: the verifier is needed", "auth/provider.go",
			`return hashedKey("provider login", state, verifier)`, `return hashedKey("provider login", state, verifier[:0])`,
			threats, "TestT251_",
		},
		{
			"T252: a log-in is completed once", "db/providerlogin.go",
			"DELETE FROM provider_logins WHERE digest = $1 AND session_id = $2 AND expires_at > $3\n\t\t\tRETURNING *",
			"SELECT * FROM provider_logins WHERE digest = $1 AND session_id = $2 AND expires_at > $3",
			threats, "TestT252_",
		},
		{
			"T252: a log-in expires", "db/providerlogin.go",
			"session_id = $2 AND expires_at > $3", "session_id = $2 AND ($3 IS NOT NULL OR expires_at > $3)",
			threats, "TestT252_",
		},
		{
			"T253: each log-in has its own challenge", "auth/provider.go",
			`Nonce: derived(verifier, "nonce"), Verifier: derived(verifier, "PKCE"),`, `Nonce: derived(verifier, "nonce"), Verifier: derived("", "PKCE"),`,
			threats, "TestT253_",
		},
		{
			"T253 T254: the nonce is compared", "auth/providers/oidc.go",
			"subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1", "false && subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1",
			threats, "TestT254_",
		},
		{
			"T254: an ID token is for this client", "auth/providers/oidc.go",
			"m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).Verify(ctx", "m.provider.Verifier(&oidc.Config{SkipClientIDCheck: true, Now: o.now}).Verify(ctx",
			threats, "TestT254_",
		},
		{
			"T254: an ID token is of this provider", "auth/providers/oidc.go",
			"m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).Verify(ctx", "m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, SkipIssuerCheck: true, Now: o.now}).Verify(ctx",
			threats, "TestT254_",
		},
		{
			"T254: an ID token expires", "auth/providers/oidc.go",
			"m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).Verify(ctx", "m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, SkipExpiryCheck: true, Now: o.now}).Verify(ctx",
			threats, "TestT254_",
		},
		{
			"T254: an ID token is signed", "auth/providers/oidc.go",
			"m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).Verify(ctx", "m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, InsecureSkipSignatureCheck: true, Now: o.now}).Verify(ctx",
			threats, "TestT254_",
		},
		{
			"T254: an ID token was issued to this client", "auth/providers/oidc.go",
			"(given || len(token.Audience) > 1) && azp != o.ClientID", "len(token.Audience) < 0 && given && azp != o.ClientID",
			threats, "TestT254_",
		},
		{
			"T254: an ID token was issued now", "auth/providers/oidc.go",
			"age := o.now().Sub(token.IssuedAt); age > maxIssuedAgo || age < -maxIssuedAgo {", "age := o.now().Sub(token.IssuedAt); age == 1 {",
			threats, "TestT254_",
		},
		{
			"T255: the issuer of a response is compared", "auth/providers/oidc.go",
			`r.Issuer != o.Issuer && (r.Issuer != "" || m.SendsIssuer)`, `r.Issuer != o.Issuer && r.Issuer == "" && m.SendsIssuer`,
			threats, "TestT255_",
		},
		{
			"T255: the issuer of a response is required where it is sent", "auth/providers/oidc.go",
			`(r.Issuer != "" || m.SendsIssuer)`, `r.Issuer != ""`,
			threats, "TestT255_",
		},
		{
			"T256: the provider's URLs are https", "auth/providers/oidc.go",
			`[]string{provider.Endpoint().AuthURL, provider.Endpoint().TokenURL}`, `[]string{}`,
			threats, "TestT256_",
		},
		{
			"T256 T261: responses are bounded", "auth/providers/caller.go",
			"maxResponse  = 1 << 20 ", "maxResponse  = 1 << 30 ",
			threats, "TestT256_|TestT261_",
		},
		{
			"T257: redirect URIs are compared literally", "auth/provider.go",
			"return slices.Contains(l.redirects, uri)", "return slices.ContainsFunc(l.redirects, func(r string) bool { return strings.HasPrefix(uri, r) })",
			threats, "TestT257_",
		},
		{
			"T258: an address links nothing by default", "auth/providerlogin.go",
			"case err == nil && provider.LinkVerified && owner.EmailVerifiedAt != nil:", "case err == nil && owner.EmailVerifiedAt != nil:",
			threats, "TestT258_",
		},
		{
			"T258: an address that is not verified here links nothing", "auth/providerlogin.go",
			"case err == nil && provider.LinkVerified && owner.EmailVerifiedAt != nil:", "case err == nil && provider.LinkVerified && (owner.EmailVerifiedAt != nil || verified != nil):",
			server, "TestAVerifiedAddressLinksOnly",
		},
		{
			"T258: an address that is not verified there links nothing", "auth/providerlogin.go",
			"if !c.EmailVerified {\n\t\treturn nil", "if false {\n\t\treturn nil",
			threats, "TestT258_",
		},
		{
			"T258: only true is true", "auth/providers/oidc.go",
			`return claim == true || claim == "true"`, `return claim != nil && claim != false`,
			threats, "TestT258_",
		},
		{
			"T258: only bare addresses count", "auth/providerlogin.go",
			"if checkEmail(c.Email) != nil {", `if c.Email == "" {`,
			threats, "TestT258_",
		},
		{
			"T259: subjects are bounded", "auth/providers/oidc.go",
			"return subject != \"\" && len(subject) <= maxSubject", "return true",
			threats, "TestT259_",
		},
		{
			"T259: subjects are compared literally", "db/identity.go",
			"[]string{provider, issuer, subject}", "[]string{provider, issuer, subject[:3]}",
			threats, "TestT259_",
		},
		{
			"T260: identities belong to their issuer", "db/identity.go",
			"[]string{provider, issuer, subject}", "[]string{provider, subject}",
			threats, "TestT260_",
		},
		{
			"T261: no redirects", "auth/providers/caller.go",
			"return http.ErrUseLastResponse", "return nil",
			threats, "TestT261_",
		},
		{
			"T261: a slow provider is given up", "auth/providers/caller.go",
			"callTimeout  = 5 * time.Second // of one call\n\tflowTimeout  = 8 * time.Second", "callTimeout  = 5 * time.Hour\n\tflowTimeout  = 8 * time.Hour",
			threats, "TestT261_",
		},
		{
			"T261: a failure is remembered for some seconds", "auth/providers/oidc.go",
			"if o.failed != nil && age < failureAge {", "if o.failed != nil && age < 0 {",
			server, "TestAServerStartsAndLogsInWhileAProviderIsDown",
		},
		{
			"T262: a provider's response is not logged", "auth/providers/caller.go",
			"if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {", "if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok && e == nil {",
			threats, "TestT262_",
		},
		{
			"T263: a client begins few log-ins", "auth/provider.go",
			"startsAtClient = db.ThrottleRule{Free: 100,", "startsAtClient = db.ThrottleRule{Free: 100000,",
			threats, "TestT263_",
		},
		{
			"T263: completed log-ins do not count", "auth/providerlogin.go",
			"failed := s.db.Succeeded(ctx, startsKey(ctx), s.timestamp()); failed != nil", "failed := error(nil); failed != nil",
			threats, "TestT263_",
		},
		{
			"T264: a link belongs to its session", "db/providerlogin.go",
			"digest = $1 AND session_id = $2 AND expires_at", "digest = $1 AND ($2 = '' OR session_id <> '') AND expires_at",
			threats, "TestT264_",
		},
		{
			"T264: linking needs a recent login", "auth/provider.go",
			"if sessionID != \"\" {", "if sessionID == \"\" {",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T264: unlinking needs a recent login", "auth/identity.go",
			"errors.Join(s.recent(ctx, tx), tx.DeleteIdentity", "errors.Join(s.recent(asNobody(ctx), tx), tx.DeleteIdentity",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T265: a disabled user does not log in", "auth/providerlogin.go",
			"if u.DisabledAt != nil {", "if u.DisabledAt != nil && u.ID == \"\" {",
			threats, "TestT265_",
		},
		{
			"T266: the last way in stays", "auth/identity.go",
			"if err == nil && ways == 0 {", "if err == nil && ways < 0 {",
			server, "TestTheLastWayInStays",
		},
		{
			"T267: others do not see identities", "auth/identity.go",
			"if err := ViewerFrom(ctx).maySee(userID); err != nil {", "if err := ViewerFrom(ctx).Authenticated(); err != nil {",
			"./auth", "TestIdentitiesAreSeenByWhoMaySeeTheUser",
		},
		{
			"T268: only verified addresses of GitHub count", "auth/providers/github.go",
			"if e.Primary && e.Verified {", "if e.Primary {",
			"./auth/providers", "TestAUserOfGitHub",
		},
		{
			"T269: a logout token that is repeated ends no later session", "auth/providerlogout.go",
			"began = db.TimeOf(logout.IssuedAt.Add(logoutSkew))", "began = now",
			server, "TestALogoutAtTheProvider",
		},
		{
			"T269: a logout token is for this client", "auth/providers/oidc.go",
			"m.provider.Verifier(&oidc.Config{ClientID: o.ClientID, Now: o.now}).VerifyLogout(ctx", "m.provider.Verifier(&oidc.Config{SkipClientIDCheck: true, Now: o.now}).VerifyLogout(ctx",
			server, "TestALogoutAtTheProvider",
		},
		{
			"T270: sign-up is for the domains of the settings", "auth/providerlogin.go",
			"if len(domains) == 0 {", "if len(domains) >= 0 {",
			server, "TestSignUpIsFor",
		},
	}
}
