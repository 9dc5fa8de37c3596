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
	}
}
