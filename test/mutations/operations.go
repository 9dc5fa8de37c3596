package main

// Leaks, injection, operations. Not here: the end of the process by SIGKILL (T125) and a full disk (T128), whose
// protections are the database's; damaged requests (T130), which are random; T131, which is no code of ours.
func operations() []mutation {
	return []mutation{
		{
			"T118: a misspelt field is not corrected", "graph/validation.go",
			`"FieldsOnCorrectType": rules.FieldsOnCorrectTypeRuleWithoutSuggestions.RuleFunc,`, "",
			"./graph", "TestTheRulesOfValidation",
		},
		{
			"T118: a misspelt argument is not corrected", "graph/validation.go",
			`"KnownArgumentNames":  rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc,`, "",
			"./test/threats", "TestT118_",
		},
		{
			"T118: a misspelt type is not corrected", "graph/validation.go",
			`"KnownTypeNames":      rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc,`, "",
			"./test/threats", "TestT118_",
		},
		{
			"T118: fields of an object are not suggested", "graph/validation.go",
			`"ScalarLeafs":         rules.ScalarLeafsRuleWithoutSuggestions.RuleFunc,`, "",
			"./graph", "TestTheRulesOfValidation",
		},
		{
			"T119 T41: what went wrong inside is not told", "graph/errors.go",
			`return "internal error", code(Internal)`, "return err.Error(), code(Internal)",
			"./test/threats", "TestT041_",
		},
		{
			"T120: wildcards of LIKE are letters", "db/user_search.go",
			"likeEscaper.Replace(text)", "text",
			"./test/threats", "TestT120_",
		},
		{
			"T120: a search is a parameter", "db/user_search.go",
			"l.Where, l.Args = `search_text LIKE $1 ESCAPE '\\'`, []any{\"%\" + like + \"%\"}", "l.Where = `search_text LIKE '%` + like + `%' ESCAPE '\\'`",
			"./test/threats", "TestT120_",
		},
		{
			"T121 T122: names have no control characters", "auth/names.go",
			"|| strings.ContainsFunc(text, isControl) {", "{",
			"./test/threats", "TestT121_",
		},
		{
			"T122: the log has no credentials", "graph/transport.go",
			`slog.String("field", field)`, `slog.String("field", field+r.Header.Get("Authorization"))`,
			"./test/threats", "TestT122_",
		},
		{
			"T122: a struct with a secret is not formatted", "auth/redact.go",
			`func (redacted) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }`, "func (redacted) text() string { return fmt.Sprint() }",
			"./auth", "TestAStructWithASecret",
		},
		{
			"T122: a struct with a secret is not JSON", "auth/redact.go",
			"func (redacted) MarshalJSON() ([]byte, error) { return []byte(`\"REDACTED\"`), nil }", "",
			"./auth", "TestAStructWithASecret",
		},
		{
			"T122: the secret is not printed", "auth/keys/secret.go",
			`func (Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }`, "func (s Secret) String() string { return *s.text }",
			"./auth", "TestASecretIsNeverPrinted",
		},
		{
			"T123: a change is recorded", "auth/change.go",
			"if err := s.recordIn(ctx, tx, e); err != nil {", "if err := ctx.Err(); err != nil {",
			"./test/threats", "TestT123_WhatHappens",
		},
		{
			"T123: a change of the signing keys is recorded", "auth/keys/rotation.go",
			"if err := r.o.Record(ctx, tx, e); err != nil {", "if err := ctx.Err(); err != nil {",
			"./auth/keys", "TestAKeyIsNotChanged",
		},
		{
			"T123: a failed login is recorded", "auth/login.go",
			`if err := s.record(ctx, s.event(ctx, kind, u.ID, sessionID, "")); err != nil {`, "if err := ctx.Err(); err != nil {",
			"./test/threats", "TestT123_WhatHappens",
		},
		{
			"T123: a refresh is recorded", "auth/refresh.go",
			"return s.recordIn(ctx, tx, byUser(s.event(ctx, EventRefresh, session.UserID, session.ID, \"\")))", "return nil",
			"./test/threats", "TestT123_WhatHappens",
		},
		{
			"T123: a refused change is recorded", "graph/directives.go",
			"service.RecordDenied(ctx, field.Field.Name)", "_ = service",
			"./test/threats", "TestT123_",
		},
		{
			"T123: a refused change is recorded once a minute", "auth/event.go",
			`if !s.uses.first("denied "+v.ID()+" "+field, s.timestamp()) {`, `if !s.uses.first("denied "+db.NewID(db.EventID), s.timestamp()) {`,
			"./test/threats", "TestT123_Refused",
		},
		{
			"T123: who did it is recorded", "auth/event.go",
			"e.ActorID = &id", "_ = id",
			"./test/threats", "TestT123_WhatHappens",
		},
		{
			"T124: the database's files are their owner's alone", "db/dialect.go",
			"os.O_RDWR|os.O_CREATE, 0o600)", "os.O_RDWR|os.O_CREATE, 0o644)",
			"./app", "TestScripts/sqlite/first_start$",
		},
		{
			"T124: a secret file that others may read stops the start", "app/secretfile.go",
			"case shared != 0 && info", "case shared > 0o777 && info",
			"./app", "TestScripts/sqlite/secret|TestASecretFile",
		},
		{
			"T124: a secret file that others may write stops the start", "app/secretfile.go",
			"case shared&0o022 != 0:", "case shared > 0o777:",
			"./app", "TestScripts/sqlite/secret|TestASecretFile",
		},
		{
			"T124: a secret file of another user stops the start", "app/secretfile.go",
			"case !trustedOwner(path, info, database):", "case info == nil && !trustedOwner(path, info, database):",
			"./app", "TestASecretFileOfAnotherUser",
		},
		{
			"T124: a database that other users may access stops the start", "db/backup.go",
			"shared := info.Mode().Perm() & 0o077", "shared := info.Mode().Perm() & 0",
			"./app", "TestScripts/sqlite/backup$",
		},
		{
			"T124: what is sealed for one key opens for no other", "auth/keys/secret.go",
			"Seal(nil, nil, plain, []byte(name))", "Seal(nil, nil, plain, nil)",
			"./auth", "Test",
		},
		{
			"T126: a server that stops answers what it has taken on", "app/serve.go",
			"server.Shutdown(drain)", "errors.Join(server.Close(), drain.Err())",
			"./test/faults", "TestWhoIsBeingServed",
		},
		{
			"T127: what the database does not answer is UNAVAILABLE", "db/errors.go",
			"return fmt.Errorf(\"%w: %w\", ErrUnavailable, err)", "return fmt.Errorf(\"%w\", err)",
			"./db", "TestADatabaseThatCannotAnswer",
		},
		{
			"T129: guesses are counted by all processes together", "auth/throttle.go",
			`hashedKey("account at client", account, client)`, `hashedKey("account at client", account, client, s.hasher.dummy)`,
			"./test/threats", "TestT129_",
		},
		{
			"T299: nothing is prepared behind a pooler", "db/listen_postgres.go",
			"keepsStatements.Store(!c.db.pools.pooled)", "keepsStatements.Store(true)",
			"./db", "TestStatementsArePreparedOnly",
		},
		{
			"T299: nothing is prepared before notifications arrive", "db/db.go",
			"keepsStatements.Store(d == sqliteDialect)", "keepsStatements.Store(true)",
			"./db", "TestStatementsArePreparedOnly",
		},
		{
			"T299: nothing is prepared when notifications have ended", "db/listen_postgres.go",
			"defer db.pools.keepsStatements.Store(false)", "",
			"./db", "TestStatementsArePreparedOnly",
		},
		{
			"T299: what a migration changed is prepared again", "db/dialect.go",
			"return ok && (e.Code == pqerror.FeatureNotSupported || ", "return ok && (",
			"./db", "TestPreparedStatementsSurvive",
		},
		{
			"T299: what a session lost is prepared again", "db/dialect.go",
			"|| e.Code == pqerror.InvalidSQLStatementName)", ")",
			"./db", "TestPreparedStatementsSurvive",
		},
	}
}
