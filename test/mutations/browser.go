package main

// Browser and HTTP.
func browser() []mutation {
	return []mutation{
		{
			"T82: GET runs no mutation", "graph/transport.go",
			"case kind == ast.Mutation && method == http.MethodGet:", "case kind == ast.Mutation && method == http.MethodHead:",
			"./test/threats", "TestT082_",
		},
		{
			"T82: GET runs no mutation as an event stream", "graph/stream.go",
			"errs := checkMethod(method, kind)", "errs := checkMethod(http.MethodPost, kind)",
			"./test/threats", "TestT082_",
		},
		{
			"T83 T84: a body is application/json", "graph/transport.go",
			"|| mediaType != plainJSON ||", "|| mediaType == \"\" ||",
			"./test/threats", "TestT083_|TestT084_",
		},
		{
			"T83: a body has one type", "graph/transport.go",
			` || len(h.Values("Content-Type")) > 1`, "",
			"./test/threats", "TestT083_",
		},
		{
			"T83: a body is UTF-8", "graph/transport.go",
			`if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {`, `if charset, ok := params["charset"]; ok && charset == "" {`,
			"./test/threats", "TestT083_",
		},
		{
			"T85: pages of listed origins alone read answers", "web/origins.go",
			"AllowedOrigins: c.Origins,", `AllowedOrigins: append([]string{"*"}, c.Origins...),`,
			"./test/threats", "TestT085_",
		},
		{
			"T85: without listed origins no page reads answers", "web/origins.go",
			"if len(c.Origins) == 0 {", "if c.Origins == nil && len(c.Origins) > 0 {",
			"./test/threats", "TestT085_",
		},
		{
			"T85: no credentials travel by themselves", "web/origins.go",
			"MaxAge: 7200,", "MaxAge: 7200, AllowCredentials: true,",
			"./test/threats", "TestT085_",
		},
		{
			"T87: pages of listed origins alone open WebSockets", "graph/websocket.go",
			"OriginPatterns: t.origins,", "InsecureSkipVerify: true,",
			"./test/threats", "TestT087_",
		},
		{
			"T88: other methods do nothing", "graph/transport.go",
			"case http.MethodPost:", `case http.MethodPost, http.MethodPut, "QUERY":`,
			"./test/threats", "TestT088_",
		},
		{
			"T88: nor do headers that override the method", "graph/transport.go",
			"switch r.Method {", "if override := r.Header.Get(\"X-Http-Method-Override\"); override != \"\" {\n\t\tr.Method = override\n\t}\n\tswitch r.Method {",
			"./test/threats", "TestT088_",
		},
		{
			"T89: the page runs no script of its own text", "internal/static/static.go",
			"style-src 'self'; ", "style-src 'self' 'unsafe-inline'; ",
			"./test/threats", "TestT089_",
		},
		{
			"T89: the page stands in no frame, by its policy", "internal/static/static.go",
			"form-action 'none'; frame-ancestors 'none'", "form-action 'none'",
			"./test/threats", "TestT089_",
		},
		{
			"T89: the page stands in no frame, for old browsers", "internal/static/static.go",
			`"X-Frame-Options":            "DENY",`, "",
			"./test/threats", "TestT089_",
		},
		{
			"T89: the page loads nothing from elsewhere", "internal/static/static.go",
			"connect-src 'self'; ", "connect-src https:; ",
			"./test/threats", "TestT089_",
		},
		{
			"T89: the page can be off", "web/web.go",
			"if o.GraphiQL {", "if o.GraphiQL || !o.GraphiQL {",
			"./test/threats", "TestT089_",
		},
		{
			"T90 T93: a request's ID is ours", "web/web.go",
			"id := []string{newRequestID()}", `id := append(r.Header["X-Request-Id"], newRequestID())[:1]`,
			"./test/threats", "TestT090_",
		},
		{
			"T90: paths are not cleaned up by redirects", "web/web.go",
			`clean != r.URL.Path && clean+"/" != r.URL.Path`, `clean == "" && clean+"/" != r.URL.Path`,
			"./test/threats", "TestT090_",
		},
		{
			"T90: a refused handshake repeats no header", "graph/websocket.go",
			"h.rejected = true", "h.rejected = false",
			"./test/threats", "TestT090_",
		},
		{
			"T91: other paths are not found", "web/web.go",
			`mux.HandleFunc("/", notFound)`, `mux.Handle("/", http.FileServer(http.Dir(".")))`,
			"./test/threats", "TestT091_",
		},
		{
			"T92: a length beside chunks closes the connection", "web/guard.go",
			`h.Set("Connection", "close")`, `_ = h`,
			"./test/threats", "TestT092_ARequestInAnOddForm",
		},
		{
			"T94: names in a body count once", "graph/body.go",
			"if seen[name] {", `if seen[name] && name == "" {`,
			"./test/server", "TestNamesInARequest",
		},
		{
			"T94: a body is UTF-8", "graph/body.go",
			"case !utf8.Valid(data):", "case data == nil:",
			"./test/threats", "TestT094_",
		},
		{
			"T94: a refusal does not repeat the body", "graph/body.go",
			`"the request is not a JSON object")`, `"the request is not a JSON object: "+string(data))`,
			"./test/threats", "TestT094_",
		},
		{
			"T94: nothing follows the JSON object", "graph/body.go",
			"|| !json.Valid(data):", "|| data == nil:",
			"./test/threats", "TestT094_",
		},
		{
			"T95: browsers are told to keep to HTTPS", "web/guard.go",
			`h.Set("Strict-Transport-Security", "max-age=31536000")`, "_ = h",
			"./test/threats", "TestT095_",
		},
		{
			"T95: an untrusted peer cannot say that it came by HTTPS", "web/client.go",
			"delete(r.Header, forwardedProto)", "",
			"./test/threats", "TestT095_BrowsersAreTold",
		},
		{
			"T95: HTTP/2 needs TLS", "app/serve.go",
			"server := &http.Server{\n", "server := &http.Server{\n\t\tProtocols: func() *http.Protocols {\n\t\t\tp := new(http.Protocols)\n\t\t\tp.SetHTTP1(true)\n\t\t\tp.SetHTTP2(true)\n\t\t\tp.SetUnencryptedHTTP2(true)\n\t\t\treturn p\n\t\t}(),\n",
			"./test/threats", "TestT095_HTTP2",
		},
		{
			"T187: pages of other origins do not use the cookie", "auth/cookie.go",
			"case c.protection.Check(r) != nil:", "case c.protection == nil:",
			"./test/library", "TestTheCookieIsOfUse",
		},
		{
			"T187: the cookie needs its header", "auth/cookie.go",
			`if c == nil || r.Header.Get(CookieHeader) != "cookie" {`, "if c == nil {",
			"./test/library", "TestTheCookieIsOfUse",
		},
		{
			"T187: no cookie is used where the response is a stream", "auth/cookie.go",
			`stream.Listed(r.Header.Values("Accept")):`, `stream.Listed(nil):`,
			"./test/library", "TestTheCookieIsOfUse",
		},
		{
			"T188: scripts do not read the cookie", "auth/cookie.go",
			"HttpOnly: true", "HttpOnly: false",
			"./test/library", "TestTheCookieKeeps",
		},
		{
			"T188: the token in the cookie is not in the payload", "auth/cookie.go",
			"p.RefreshToken = \"\"", "_ = p",
			"./test/library", "TestTheCookieKeeps",
		},
	}
}
