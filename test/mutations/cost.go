package main

// Cost.
func cost() []mutation {
	return []mutation{
		{
			"T96: aliases have a limit", "graph/cost.go",
			`{"aliases", t.aliases, l.Aliases,`, `{"aliases", 0, l.Aliases,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T96: an alias has a length", "graph/cost.go",
			`{"aliasLength", t.aliasLength, maxAliasLength,`, `{"aliasLength", 0, maxAliasLength,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T96: root fields have a limit", "graph/cost.go",
			`{"rootFields", t.direct, l.RootFields,`, `{"rootFields", 0, l.RootFields,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T96: lists in lists multiply", "graph/cost.go",
			`{"cost", t.cost, l.Cost,`, `{"cost", 0, l.Cost,`,
			"./graph", "TestAnOperationAtTheCostLimit|TestScreensOfAnApplication",
		},
		{
			"T96: pages multiply what stands below edges", "graph/cost.go",
			"t.perItem = plus(t.perItem, item)", "t.cost = plus(t.cost, item)",
			"./graph", "TestAListCosts",
		},
		{
			"T96: an operation is counted with its variables", "graph/cost.go",
			"return g.limits.checkOperation(op.Doc, op.Operation, op.Variables, g.credentials)", "return nil",
			"./graph", "TestARefusedOperationTells",
		},
		{
			"T98: directives have a limit", "graph/cost.go",
			`{"directives", t.directives, l.Directives,`, `{"directives", 0, l.Directives,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T99: selections have a limit", "graph/cost.go",
			`{"selections", t.fields, l.Selections,`, `{"selections", 0, l.Selections,`,
			"./graph", "TestSelectionsHaveALimit",
		},
		{
			"T99: repeated fields have a limit", "graph/cost.go",
			`{"repeats", countRepeats(document, l.Repeats), l.Repeats,`, `{"repeats", 0 * countRepeats(document, l.Repeats), l.Repeats,`,
			"./graph", "TestADocumentThatIsSlowToValidate|TestAScreenAtALimit",
		},
		{
			"T99: fragments have a limit", "graph/cost.go",
			"measurement{\"fragments\", len(document.Fragments), l.Fragments, splitQuery},\n\t)", "measurement{\"fragments\", 0, l.Fragments, splitQuery},\n\t)",
			"./graph", "TestAScreenAtALimit|TestADocumentThatIsSlow",
		},
		{
			"T99: operations have a limit", "graph/cost.go",
			`{"operations", len(document.Operations), l.Operations,`, `{"operations", 0, l.Operations,`,
			"./graph", "TestAScreenAtALimit|TestADocumentThatIsSlow",
		},
		{
			"T99: a document is counted before it is validated", "graph/documents.go",
			"if err := d.limits.Cost.checkDocument(document, d.credentials); err != nil {", "if err := d.limits.Cost.checkDocument(document, d.credentials); err != nil && d.cache == nil {",
			"./graph", "TestTheSlowestDocuments",
		},
		{
			"T100: a circle of fragments ends", "graph/cost.go",
			"c.counted[i] = &tally{}", "",
			"./graph", "TestAFragmentThatSpreadsItself",
		},
		{
			"T101: counting does not overflow", "graph/cost.go",
			"func plus(a, b int) int { return min(a+b, countLimit) }", "func plus(a, b int) int { return a + b }",
			"./graph", "TestADocumentBuiltToExplode",
		},
		{
			"T102: depth has a limit", "graph/cost.go",
			`{"depth", t.depth, l.Depth,`, `{"depth", 0, l.Depth,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T102: fragments do not hide depth", "graph/cost.go",
			"t.depth = max(t.depth, u.depth)", "",
			"./graph", "TestAScreenAtALimit|TestADocumentBuiltToExplode|FuzzCountingOnce",
		},
		{
			"T103 T105: a document has few tokens", "graph/lexical.go",
			`{"tokens", tokens, limit,`, `{"tokens", 0 * tokens, limit,`,
			"./test/threats", "TestT096_",
		},
		{
			"T104: a document has few bytes", "graph/documents.go",
			"if len(request.Query) > d.limits.Query {", "if len(request.Query) > 1000*d.limits.Query {",
			"./test/threats", "TestT096_",
		},
		{
			"T104 T105: a long name is not repeated whole", "graph/errors.go",
			"if len(message) <= longest {", "if len(message) <= 1000*longest {",
			"./test/threats", "TestT104_",
		},
		{
			"T105: an answer has ten errors at most", "graph/response.go",
			`member("errors", errs[:min(len(errs), maxErrors)])`, `member("errors", errs)`,
			"./test/server", "TestAnAnswerListsTenErrors",
		},
		{
			"T105: a socket's message has ten errors at most", "graph/transport.go",
			"return operation, errs[:min(len(errs), maxErrors)]", "return operation, errs",
			"./test/threats", "TestT096_",
		},
		{
			"T106: a page has 100 items at most", "graph/relay/relay.go",
			"|| *size.n > MaxPage {", "|| *size.n < -MaxPage {",
			"./graph/relay", "TestPageArguments",
		},
		{
			"T106: a page has an item at least", "graph/relay/relay.go",
			"if *size.n < 1 ||", "if *size.n < -MaxPage ||",
			"./graph/relay", "TestPageArguments",
		},
		{
			"T106: an Int has 32 bits", "graph/scalar/scalar.go",
			"|| n < math.MinInt32 || n > math.MaxInt32 {", "|| n == math.MinInt64 {",
			"./graph/scalar", "TestScalars",
		},
		{
			"T107: a body has few values", "graph/body.go",
			"if countValues(data) > maxValues {", "if countValues(data) > 1000*maxValues {",
			"./test/threats", "TestT107_",
		},
		{
			"T108: a body has 1 MiB at most", "graph/transport.go",
			"http.MaxBytesReader(w, r.Body, t.limits.Body)", "r.Body",
			"./test/threats", "TestT108_",
		},
		{
			"T109: a compressed body is refused", "graph/transport.go",
			`encoding != "" && encoding != "identity" {`, `encoding != "" && len(h) == 0 {`,
			"./test/threats", "TestT109_",
		},
		{
			"T110: a header arrives within five seconds", "app/serve.go",
			"ReadHeaderTimeout: 5 * time.Second,\n\t\tReadTimeout:       15 * time.Second,", "ReadTimeout: 15 * time.Second,",
			"./test/threats", "TestT110_",
		},
		{
			"T110: a body that arrives takes no place", "web/admission.go",
			"r, outcome := a.receive(w, r)\n\tif outcome == granted && w.stream {", "outcome := a.requests.acquire(w.client, 1)\n\tdefer a.requests.release(w.client, 1)\n\tif outcome == granted {\n\t\tr, outcome = a.receive(w, r)\n\t}\n\tif outcome == granted && w.stream {",
			"./test/threats", "TestT110_|TestUnfinishedBodiesOfOneClient",
		},
		{
			"T110: bodies take a share of the memory", "web/body.go",
			"outcome := w.reserve(max(size, bodyOverhead) - max(int64(cap(b.data)), bodyOverhead)); outcome != granted", "outcome := granted; outcome != granted",
			"./test/threats", "TestBodiesThatNearlyArrive",
		},
		{
			"T112: a client has a share of the places", "web/shares.go",
			"case !s.below(c.self, s.percent), c", "case c",
			"./web", "TestOneClientHolds",
		},
		{
			"T112: a network has a share of the places", "web/shares.go",
			"c.network != holder{} && !s.below(c.network, 2*s.percent)", "false",
			"./web", "TestAFewClients",
		},
		{
			"T112: a client has a share of the connections", "web/connections.go",
			"if l.open.acquire(c, 1) == granted {", "if l.open.acquire(c, 1) != granted || c.self == c.self {",
			"./web", "TestConnectionsOfOneClient",
		},
		{
			"T111: remembered documents have few bytes", "graph/documents.go",
			"for c.bytes > cachedBytes {", "for c.bytes > 1000*cachedBytes {",
			"./graph", "TestRememberedDocuments",
		},
		{
			"T112: requests at the same time have a limit", "web/admission.go",
			"newShares(c.InFlight, c.ClientShare)", "newShares(0*c.InFlight, c.ClientShare)",
			"./test/threats", "TestT112_Requests",
		},
		{
			"T112: streams at the same time have a limit", "web/admission.go",
			"newShares(c.Streams, c.ClientShare)", "newShares(0*c.Streams, c.ClientShare)",
			"./web", "TestACrowdIsBounded",
		},
		{
			"T112: a WebSocket holds its place until it is closed", "web/admission.go",
			"w.streaming = false\n\treturn &hijackedConn", "return &hijackedConn",
			"./test/server", "TestASocketHolds",
		},
		{
			"T112: a header does not pass the limit", "web/admission.go",
			"if outcome == granted {\n\t\toutcome = a.requests.acquire(w.client, 1)", "if outcome == granted && !w.stream {\n\t\toutcome = a.requests.acquire(w.client, 1)",
			"./test/threats", "TestT112_AHeader",
		},
		{
			"T112: a client's requests have a rate", "web/admission.go",
			"if !limiter.Allow() {", "if limiter == nil {",
			"./web", "TestPagesCanRead",
		},
		{
			"T112: an IPv6 network is one client", "internal/netaddr/netaddr.go",
			"a.Is6() {", "a.Is4() {",
			"./web", "TestOneClientHolds",
		},
		{
			"T4 T6: an IPv6 network is one client of logins", "auth/throttle.go",
			"!client.IsSingleIP() {", "!client.IsValid() {",
			"./test/threats", "TestT006_Guesses",
		},
		{
			"T113: a text has no NUL", "graph/scalar/scalar.go",
			"case strings.ContainsRune(s, 0):", "case strings.ContainsRune(s, -1):",
			"./test/threats", "TestT113_",
		},
		{
			"T113: a name is short", "auth/names.go",
			"|| len(text) > maximum ||", "|| len(text) > 1000*maximum ||",
			"./test/threats", "TestT113_",
		},
		{
			"T114: a socket is initialised in time", "graph/websocket_conn.go",
			"s.cancel(errInitTimeout)", "_ = s",
			"./test/server", "TestSocketsClose",
		},
		{
			"T114: a socket is initialised once", "graph/websocket_init.go",
			"if s.watch != nil {\n\t\treturn &closeError", "if s.watch != nil && s.conn == nil {\n\t\treturn &closeError",
			"./test/server", "TestSocketsClose",
		},
		{
			"T114: an operation's ID is used once", "graph/websocket_conn.go",
			"if _, taken := s.operations[m.ID]; taken {", `if _, taken := s.operations[m.ID]; taken && m.ID == "" {`,
			"./test/server", "TestSocketsClose",
		},
		{
			"T114: another subprotocol is refused", "graph/websocket_conn.go",
			"if s.conn.Subprotocol() != subprotocol {", `if s.conn.Subprotocol() == "none" {`,
			"./test/threats", "TestT114_",
		},
		{
			"T115: a socket needs a good token", "graph/websocket_init.go",
			"if err := v.Authenticated(); err != nil {\n\t\treturn closeFor(err)", "if err := v.Authenticated(); err != nil && s.conn == nil {\n\t\treturn closeFor(err)",
			"./test/threats", "TestT114_",
		},
		{
			"T116: a message has few bytes", "graph/websocket.go",
			"s.conn.SetReadLimit(t.limits.Socket.Message)", "s.conn.SetReadLimit(1 << 30)",
			"./test/threats", "TestT116_ADamaged",
		},
		{
			"T116: messages have a rate", "graph/websocket_conn.go",
			"if s.messages.Wait(ctx) != nil {", "if s.messages == nil {",
			"./test/threats", "TestT116_AFlood",
		},
		{
			"T116: pings of the protocol have a rate", "graph/websocket.go",
			"return s.messages.Wait(ctx) == nil }", "return true }",
			"./test/threats", "TestT116_Pings",
		},
		{
			"T117: a socket's operations have a limit", "graph/websocket_conn.go",
			"if s.count >= s.transport.limits.Socket.Operations {", "if s.count < 0 {",
			"./test/threats", "TestT117_Subscriptions",
		},
		{
			"T117: an operation's place comes back", "graph/websocket_conn.go",
			"\ts.count--\n", "",
			"./test/threats", "TestT117_Subscriptions",
		},
		{
			"T117: a user's sockets have a limit", "graph/websocket.go",
			"if p.ofUser[userID] >= p.limit {", "if p.ofUser[userID] < 0 {",
			"./test/threats", "TestT117_Sockets",
		},
		{
			"T117: a socket's place comes back", "graph/websocket_conn.go",
			"s.transport.streams.release(v.ID())", "_ = v",
			"./test/threats", "TestT117_Sockets",
		},
		{
			"T117: multipart responses are streams", "internal/stream/stream.go",
			`e.Name == Multipart && e.Params[subscriptionSpec] == "1.0" {`, `e.Name == Multipart && e.Params["boundary"] == "-" {`,
			"./test/threats", "TestT117_EventStreams",
		},
		{
			"T117: a user's event streams have a limit", "graph/stream.go",
			"!t.streams.acquire(id) {", "!t.streams.acquire(id) && id == \"\" {",
			"./test/threats", "TestT117_EventStreams",
		},
		{
			"T117: a socket that is closing is not waited for", "graph/websocket_close.go",
			"cut := time.AfterFunc(closeWait,", "cut := time.AfterFunc(100*closeWait,",
			"./test/threats", "TestT117_AnUntrustedClient",
		},
	}
}
