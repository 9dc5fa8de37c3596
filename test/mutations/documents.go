package main

// Documents, variables and what sockets begin.
func documents() []mutation {
	return []mutation{
		{
			"variables: values of enums match exactly", "graph/variables.go",
			"!ok || def.EnumValues.ForName(name) == nil", "!ok || name == \"\"",
			"./test/server", "TestEnumValues",
		},
		{
			"documents: half of a surrogate pair is refused", "graph/lexical.go",
			"if hasLoneSurrogate(text.between(at.Start, at.End)) {", "if at.Start > at.End {",
			"./test/server", "TestHalfASurrogatePair",
		},
		{
			"JSON: half of a surrogate pair is refused", "graph/body.go",
			"if hasEscapedSurrogate(data) {", "if data == nil {",
			"./test/server", "TestHalfASurrogatePair",
		},
		{
			"JSON: half of a surrogate pair is refused by WebSocket", "graph/websocket_conn.go",
			"if hasLoneSurrogate(string(m.Payload)) {", "if m.Payload == nil {",
			"./test/server", "TestHalfASurrogatePair",
		},
		{
			"validation: visits have a limit", "graph/cost.go",
			`{"visits", countVisits(document), maxVisits,`, `{"visits", 0 * countVisits(document), maxVisits,`,
			"./graph", "TestTheSlowestDocuments",
		},
		{
			"validation: a rule has few errors", "graph/validation.go",
			"if n++; n <= maxErrors {", "if n++; n > 0 {",
			"./graph", "TestTheSlowestDocuments",
		},
		{
			"T98: directives count in fragments that no operation uses", "graph/cost.go",
			"if c.counted[i] == nil { // no", "if i < 0 { // used",
			"./test/threats", "TestT096_",
		},
		{
			"T99: repeated fields count in fragments that no operation uses", "graph/cost.go",
			"if !reached[i] {", "if !reached[i] && i < 0 {",
			"./graph", "TestTheSlowestDocuments",
		},
		{
			"subscriptions: no conditions at the root", "graph/validation.go",
			`if d.Name == "skip" || d.Name == "include" {`, `if d.Name == "" {`,
			"./test/server", "TestASubscriptionsRoot",
		},
		{
			"T111: a query under a foreign hash is refused", "graph/persisted.go",
			"!strings.EqualFold(text, hex.EncodeToString(hash[:])) {", "!strings.EqualFold(text, hex.EncodeToString(hash[:])) && d == nil {",
			"./test/threats", "TestT111_",
		},
		{
			"T111: a hash of a document is 64 digits", "graph/persisted.go",
			"if isHash(text) && d.persisted", "if len(text) >= 64 && d.persisted",
			"./test/server", "TestOnlyAValidDocument",
		},
		{
			"T197: documents that are not registered do not run", "graph/registered.go",
			"	if !r.only {", "	if r != nil {",
			"./test/server", "TestNothingElseRuns",
		},
		{
			"T197: a document beside an ID is refused", "graph/persisted.go",
			`(text != "" || r.Query != ""):`, `(text != "" && r.Query != ""):`,
			"./test/server", "TestNothingElseRuns",
		},
		{
			"T197: IDs that cannot be registered are not looked up", "graph/registered.go",
			"if !IsDocumentID(id) ||", "if id == \"\" ||",
			"./test/server", "TestNothingElseRuns",
		},
		{
			"T197: what was sent before does not run once it is removed", "graph/persisted.go",
			"isHash(text) && d.persisted && !d.registered.only", "isHash(text) && d.persisted",
			"./graph", "TestARemovedDocument",
		},
		{
			"T198: a removed document is forgotten", "graph/registered.go",
			"known && now-found.at < registeredFor", "known && found.at < now",
			"./graph", "TestARegisteredDocument",
		},
		{
			"T198: an ID keeps its document", "db/document.go",
			"if hash != d.Hash {", "if hash == \"\" {",
			"./app", "TestScripts/sqlite/documents",
		},
		{
			"T198: an ID is not the hash of another document", "graph/manifest.go",
			"case isHash(id) && !strings.EqualFold(id, hash):", "case isHash(id) && text == \"\":",
			"./app", "TestScripts/sqlite/documents",
		},
		{
			"T111: hashes are forgotten with their documents", "graph/documents.go",
			"		delete(c.hashed, *document.hash)\n	}\n	if c.written", "		_ = c.hashed\n	}\n	if c.written",
			"./graph", "TestHashesAreForgotten",
		},
		{
			"T111: a document has one hash", "graph/documents.go",
			"		delete(c.hashed, *document.hash)\n	}\n	document.hash", "		_ = c.hashed\n	}\n	document.hash",
			"./graph", "TestHashesAreForgotten",
		},
		{
			"T196: caches store no response to a request with a token", "graph/public.go",
			`len(r.Header["Authorization"]) > 0 ||`, `len(r.Header["Authorisation"]) > 0 ||`,
			"./test/server", "TestSharedCaches",
		},
		{
			"T196: caches store no response to a request with a cookie", "graph/public.go",
			`len(r.Header["Cookie"]) > 0 ||`, `len(r.Header["Biscuit"]) > 0 ||`,
			"./test/server", "TestSharedCaches",
		},
		{
			"T196: caches tell requests with a token from others", "graph/response.go",
			`h.Add("Vary", "Authorization, Cookie")`, `h.Add("Vary", "Accept")`,
			"./test/server", "TestSharedCaches",
		},
		{
			"T196: caches store no errors", "graph/public.go",
			"len(response.Errors) > 0 ||", "len(response.Errors) > 1 && response.Data == nil ||",
			"./test/server", "TestSharedCaches",
		},
		{
			"T196: caches store no guarded field", "graph/public.go",
			`return d.Name != "public" && (`, `return d.Name == "private" && (`,
			"./graph", "TestAnOperationIsPublic",
		},
		{
			"T196: caches store no root field that is not declared public", "graph/public.go",
			`if field.ObjectDefinition == c.schema.Query &&`, `if field.ObjectDefinition == c.schema.Mutation &&`,
			"./graph", "TestAnOperationIsPublic",
		},
		{
			"T196: caches store no field that an object behind an interface guards", "graph/public.go",
			"if field.ObjectDefinition.IsAbstractType() {", "if field.ObjectDefinition == nil {",
			"./graph", "TestAnOperationIsPublic",
		},
		{
			"documents: @defer is refused in words", "graph/validation.go",
			`if e.Message == ` + "`" + `Unknown directive "@defer".` + "`" + ` ||`, `if e.Message == "" ||`,
			"./test/server", "TestIncrementalDelivery",
		},
		{
			"sockets: nothing begins after the token has ended", "graph/websocket_conn.go",
			"if s.ending || ctx.Err() != nil {", "if s.ending && s.conn == nil {",
			"./test/server", "TestASocketWhoseToken",
		},
		{
			"sockets: two different tokens are refused", "graph/websocket_init.go",
			`text != authorization && !sameToken(text, authorization) {`, `text == "" {`,
			"./test/server", "TestATokenMayStandTwice",
		},
	}
}
