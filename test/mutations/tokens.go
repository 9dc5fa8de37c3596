package main

// Tokens and sessions.
func tokens() []mutation {
	const everyProcess = "TestT036_T037_" // what is revoked in one process is refused by all
	return []mutation{
		{
			"T29: a refresh token two generations old is refused", "auth/refresh.go",
			"predecessor == session.Generation-1 && (inGrace || neverUsed)", "(inGrace || neverUsed)",
			"./test/threats", "TestT029_",
		},
		{
			"T29: reuse of a refresh token ends the session", "auth/refresh.go",
			"tx.EndSession(ctx, session.UserID, session.ID, endedByReuse, now)", "ctx.Err()",
			"./test/threats", "TestT029_",
		},
		{
			"T30: a spent refresh token is refused once its successor was used", "auth/refresh.go",
			"neverUsed := session.SeenGeneration < session.Generation", "neverUsed := true",
			"./test/threats", "TestT030_",
		},
		{
			"T30: the use of an access token is noted", "auth/middleware.go",
			"s.uses.ofGeneration(o.Session.ID, c.Generation)", "_ = c.Generation",
			"./test/threats", "TestT030_",
		},
		{
			"T30: the grace ends", "auth/refresh.go",
			"inGrace := now.Before(session.RotatedAt.Add(s.lifetimes.Grace).Time)", "inGrace := true",
			"./test/threats", "TestT030_",
		},
		{
			"T30 T31: a spent refresh token works within the grace", "auth/refresh.go",
			"inGrace := now.Before(session.RotatedAt.Add(s.lifetimes.Grace).Time)", "inGrace := false",
			"./auth", "TestASpentRefreshToken",
		},
		{
			"T31: one of several refreshes at once moves the session on", "db/session.go",
			"WHERE id = $1 AND generation = $2 AND ended_at IS NULL", "WHERE id = $1 AND generation >= $2 AND ended_at IS NULL",
			"./db", "TestOneOfEightRotationsWins",
		},
		{
			"T29 T36: an ended session does not move on", "db/session.go",
			"WHERE id = $1 AND generation = $2 AND ended_at IS NULL", "WHERE id = $1 AND generation = $2",
			"./db", "TestAnEndedSessionDoesNotRotate",
		},
		{
			"T33 T34: a refresh token's MAC is verified", "auth/refreshtoken.go",
			"[]byte(mintRefreshToken(s, sessionID, generation))) == 1", "[]byte(mintRefreshToken(s, sessionID, generation))) >= 0",
			"./test/threats", "TestT033_",
		},
		{
			"T34: a refresh token's MAC needs the secret", "auth/refreshtoken.go",
			`hmac.New(sha256.New, s.Derive("refresh token"))`, "hmac.New(sha256.New, nil)",
			"./auth", "TestADamagedRefreshToken|TestAChangeOfTheSecret|TestTheOldSecret",
		},
		{
			"T34: a refresh token's MAC has 160 bits", "auth/refreshtoken.go",
			"mac.Sum(nil)[:20]", "mac.Sum(nil)[:4]",
			"./test/threats", "TestT034_",
		},
		{
			"T34: a token's ID is random", "auth/accesstoken.go",
			"randomBytes(16)", "randomBytes(16)[:4]",
			"./test/threats", "TestT034_",
		},
		{
			"T34 T46: API tokens are random", "token/api.go",
			"base62[n.Int64()]", "base62[n.Int64()/32]",
			"./auth", "TestAPITokensUseTheWholeAlphabet",
		},
		{
			"T35: a session ends when it is idle", "db/session.go",
			"return s.EndedAt == nil && now.Before(s.IdleAt.Time) && now.Before(s.ExpiresAt.Time)", "return s.EndedAt == nil && now.Before(s.ExpiresAt.Time)",
			"./auth", "TestASessionEndsWhenIdleAndAtItsEnd",
		},
		{
			"T35: a session ends at its end", "db/session.go",
			"return s.EndedAt == nil && now.Before(s.IdleAt.Time) && now.Before(s.ExpiresAt.Time)", "return s.EndedAt == nil && now.Before(s.IdleAt.Time)",
			"./auth", "TestASessionEndsWhenIdleAndAtItsEnd",
		},
		{
			"T35: what is remembered of a token ends with its session", "auth/middleware.go",
			"if end.Before(until.Time) {", "if end.Before(until.Time) && end.IsZero() {",
			"./auth", "TestARememberedTokenEnds",
		},
		{
			"T35 T40: what is remembered of a token ends with it", "auth/cache.go",
			"|| !e.until.IsZero() && !now.Before(e.until.Time)", "",
			"./auth", "TestARememberedTokenExpires",
		},
		{
			"T36: logout ends the session", "auth/session.go",
			"return 1, tx.EndSession(ctx, v.ID(), v.SessionID, endedByLogout, now)", "return 1, ctx.Err()",
			"./test/threats", everyProcess,
		},
		{
			"T36: logout of others ends their sessions", "auth/session.go",
			"return tx.EndSessions(ctx, v.ID(), v.SessionID, endedByLogout, now)", "return 0, ctx.Err()",
			"./test/threats", everyProcess,
		},
		{
			"T36 T37: logout everywhere ends all sessions", "auth/session.go",
			`return tx.EndSessions(ctx, v.ID(), "", endedByLogout, now)`, "return 0, ctx.Err()",
			"./test/threats", everyProcess,
		},
		{
			"T36: an ended session's tokens are refused as revoked", "auth/session.go",
			"case o.Session.EndedAt != nil:\n", "case o.Session.EndedAt != nil && now.IsZero():\n",
			"./test/threats", everyProcess,
		},
		{
			"T36: this process forgets what it has changed", "auth/change.go",
			"defer s.cache.forget(userID)", "",
			"./auth", "TestLogoutEndsTheSessionsThatAreMeant|TestADisabledUserIsOutAtOnce|TestARevokedTokenIsNotRemembered",
		},
		{
			"T36: other processes are told of a change", "auth/change.go",
			"return tell(tx, ctx, n)", "return nil",
			"./test/threats", everyProcess,
		},
		{
			"T36: a process forgets what another has changed", "auth/run.go",
			"s.cache.forget(n.UserID)", "",
			"./test/threats", everyProcess,
		},
		{
			"T36: what was read before a change is not remembered after it", "auth/cache.go",
			"if c.until == 0 || c.changes.since(t.change, id) ||", "if c.until == 0 ||",
			"./auth", "TestWhatMayBeOutOfDate",
		},
		{
			"T36: what is remembered counts while the lease lasts", "auth/cache.go",
			"if !ok || clock >= c.until ||", "if !ok ||",
			"./auth", "TestWhatMayBeOutOfDate",
		},
		{
			"T36 T38: a row is read again after a while, though no change was heard", "auth/cache.go",
			" || clock >= e.read+c.maxAge ||", " ||",
			"./auth", "TestARowThatWasChangedByHand",
		},
		{
			"T36: what was read while changes went unheard is not remembered", "auth/cache.go",
			"\tif c.until == 0 {\n\t\tc.changes.all()", "\tif c.until == 0 {\n\t\t_ = c",
			"./auth", "TestWhatMayBeOutOfDate",
		},
		{
			"T36: a lookup that began before the token was refused is not remembered", "auth/cache.go",
			" || c.changes.since(t.change, string(key[:])) {", " {",
			"./auth", "TestALookupIsRememberedUnless",
		},
		{
			"T36: nothing is remembered while changes are not heard", "auth/cache.go",
			"if c.until == 0 || c.changes.since(t.change, id) ||", "if c.changes.since(t.change, id) ||",
			"./auth", "TestWhatMayBeOutOfDate",
		},
		{
			"T36: a token that was refused is not remembered again", "auth/cache.go",
			"c.entries.Remove(key)\n\t\tc.misses++", "c.misses++",
			"./auth", "TestWhatMayBeOutOfDate",
		},
		{
			"T36: a user who was changed is forgotten", "auth/cache.go",
			"for key := range c.ofUser[userID] {", "for key := range c.ofUser[userID+userID] {",
			"./auth", "TestWhatMayBeOutOfDate",
		},
		{
			"T36: a process that hears no changes forgets everything", "auth/run.go",
			"s.cache.disconnected()\n", "",
			"./auth", "TestATokenThatWasRevokedUnheard",
		},
		{
			"T36: the sender of a body is identified when it has arrived", "web/body.go",
			`case r.URL.Path == "/graphql":`, `case r.URL.Path == "":`,
			"./test/threats", "TestT036_ASlowQuery",
		},
		{
			"T36 T37: a change checks the session in its own transaction", "auth/change.go",
			"\t\tif err := s.stillValid(ctx, tx, v); err != nil {\n\t\t\treturn err\n\t\t}\n\t\te, err := f(tx)", "		e, err := f(tx)",
			"./test/threats", "TestT036_WhatFollows",
		},
		{
			"T36: a change checks that the session has not ended", "auth/change.go",
			"return scopes, sessionError(o, now, Expired)", "return scopes, nil",
			"./auth", "TestNothingIsChanged",
		},
		{
			"T36 T48: a change checks that the API token is not revoked", "auth/change.go",
			"if err := apiTokenError(o, now); err != nil {", "if err := apiTokenError(o, now); err != nil && now.IsZero() {",
			"./auth", "TestNothingIsChanged",
		},
		{
			"T39: a change checks that the scopes are the same", "auth/change.go",
			"case !slices.Equal(scopes, v.Scopes):", "case scopes == nil && !slices.Equal(scopes, v.Scopes) && v.Scopes == nil:",
			"./auth", "TestNothingIsChanged",
		},
		{
			"T36: other writes check the session, too", "auth/change.go",
			"if v.User == nil || v.checked {", "if v.User == nil || v.User != nil {",
			"./auth", "TestNothingIsChanged",
		},
		{
			"T37: a new password ends the other sessions", "auth/user.go",
			"if ended.Sessions, err = tx.EndSessions(ctx, u.ID, sessionID, endedByPassword, now); err != nil {", "if err = ctx.Err(); err != nil {",
			"./test/threats", everyProcess,
		},
		{
			"T37: a password set by an administrator ends all sessions", "auth/user.go",
			"ended, err := endEverything(ctx, tx, u.ID, endedByPassword, now, !keepTokens)", "ended, err := Ended{}, ctx.Err()",
			"./test/threats", everyProcess,
		},
		{
			"T37: an administrator ends all sessions", "auth/session.go",
			"if ended, err = endEverything(ctx, tx, u.ID, endedByAdmin, now, revokeTokens); err != nil {", "if err = ctx.Err(); err != nil {",
			"./test/threats", everyProcess,
		},
		{
			"T37 T48: recovery revokes API tokens", "auth/session.go",
			"err != nil || !revokeTokens {", `err != nil || userID != "" {`,
			"./auth", "TestRecoveryRevokes",
		},
		{
			"T37: a login by the old password does not survive the new one", "db/user.go",
			"AND password_hash = $4 AND", "AND $4 <> '' AND",
			"./test/threats", "TestT037_",
		},
		{
			"T38: a disabled user's sessions are refused", "auth/session.go",
			"case o.DisabledAt != nil:", "case o.DisabledAt != nil && now.IsZero():",
			"./test/threats", everyProcess,
		},
		{
			"T38: a disabled user's API tokens are refused", "auth/apitoken.go",
			"case o.DisabledAt != nil:", "case o.DisabledAt != nil && now.IsZero():",
			"./test/threats", everyProcess,
		},
		{
			"T38: disabling ends the sessions for good", "auth/user.go",
			"ended, err := endEverything(ctx, tx, u.ID, endedByDisable, now, !keepTokens)", "ended, err := Ended{}, ctx.Err()",
			"./auth", "TestADisabledUserIsOutAtOnce",
		},
		{
			"T38: a deleted user's rows go along", "db/dialect.go",
			`"foreign_keys(1)"`, `"foreign_keys(0)"`,
			"./db", "TestADeletedUserTakesAllRowsAlong",
		},
		{
			"T38 T64: a token of a session that is gone is refused", "auth/middleware.go",
			"if errors.Is(err, db.ErrNotFound) || err == nil", "if errors.Is(err, db.ErrNotFound) {\n\t\treturn resolved{viewer: Viewer{User: &db.User{ID: c.Subject}, SessionID: c.SessionID}}, nil\n\t}\n\tif err == nil",
			"./test/threats", "TestT038_",
		},
		{
			"T39: an access token with other scopes than the user's is refused", "auth/middleware.go",
			"if c.Scope != v.Scopes.String() {", "if c.Scope != v.Scopes.String() && c.Scope == \"\" {",
			"./test/threats", "TestT039_ALoweredRoleIsLost",
		},
		{
			"T39: an API token loses the scopes that its owner loses", "auth/apitoken.go",
			"Granted(o.Token.Scopes).among(s.rights.Granted(o.Roles))", "Granted(o.Token.Scopes)",
			"./test/threats", "TestT039_ALoweredRoleIsLost",
		},
		{
			"T39: a renewal with other scopes ends an open socket", "auth/watch.go",
			"if err := w.update(v); err != nil {\n\t\treturn err\n\t}\n\tw.token = token", "w.token, w.viewer = token, v",
			"./auth", "TestARenewalWithOtherScopes",
		},
		{
			"T39: an open socket closes when its scopes change", "auth/watch.go",
			"if !slices.Equal(fresh.Scopes, w.viewer.Scopes) {", "if !slices.Equal(fresh.Scopes, w.viewer.Scopes) && w.token == \"\" {",
			"./test/threats", "TestT039_ALoweredRoleReachesOpenSockets",
		},
		{
			"T39 T40: a socket is renewed by a token of its own session alone", "auth/watch.go",
			"if v.ID() != w.viewer.ID() || v.SessionID != w.viewer.SessionID || v.TokenID != w.viewer.TokenID {", "if v.ID() == \"\" {",
			"./test/server", "TestAnOpenSocketTakesARefreshedToken",
		},
		{
			"T40: an open socket closes when another process ends its session", "auth/run.go",
			"s.watchers.changed(n.UserID)", "",
			"./test/threats", "TestT040_AnOpenSocketClosesWithItsToken",
		},
		{
			"T40: an open socket closes when its token is refused", "auth/watch.go",
			"\t\tw.cancel(err)\n\t\treturn true", "		return true",
			"./test/threats", "TestT040_AnOpenSocketClosesWithItsToken",
		},
		{
			"T40: an open socket closes when its token expires", "auth/watch.go",
			"w.cancel(&UnauthenticatedError{Reason: Expired})", "_ = w.token",
			"./test/threats", "TestT040_AnOpenSocketClosesWhenItsTokenExpires",
		},
		{
			"T40: a watch looks again when it begins", "auth/watch.go",
			"\tif err != nil {\n\t\tcancel(err)\n\t\treturn ctx, w\n\t}\n", "\tif err != nil {\n\t\treturn ctx, w\n\t}\n",
			"./auth", "TestAWatchOf",
		},
		{
			"T40: a watch whose look-up failed looks again", "auth/watch.go",
			"limited.Err() != nil {\n\t\t\treturn false", "limited.Err() != nil {\n\t\t\treturn true",
			"./test/threats", "TestT040_ASocketIsLookedAtAgain",
		},
		{
			"T40: an event stream ends with its token", "graph/stream.go",
			"ctx, cancel := context.WithCancel(watched)", "ctx, cancel := context.WithCancel(context.WithoutCancel(watched))",
			"./test/server", "TestEventStreamsCarryResults",
		},
		{
			"T41: a revocation that cannot be written is an error", "auth/change.go",
			"\t\ts.mailer.poke()\n\t}\n\treturn err", "\t\ts.mailer.poke()\n\t}\n\treturn nil",
			"./test/threats", "TestT041_",
		},
		{
			"T41: a commit that no standby has is not acknowledged", "db/db.go",
			"if err := ctx.Err(); err != nil {\n\t\treturn db.wrap(\"commit\", err)\n\t}\n", "",
			"./db", "TestACommitThatNoStandbyHas",
		},
		{
			"T42: services need the scope to introspect", "auth/introspection.go",
			"(Introspection, error) {\n\tif err := ViewerFrom(ctx).Require(introspectScope); err != nil {", "(Introspection, error) {\n\tif err := ctx.Err(); err != nil {",
			"./auth", "TestActionsNeed",
		},
		{
			"T42: services need the scope to revoke", "auth/introspection.go",
			"token string) error {\n\tif err := ViewerFrom(ctx).Require(introspectScope); err != nil {", "token string) error {\n\tif err := ctx.Err(); err != nil {",
			"./auth", "TestActionsNeed",
		},
		{
			"T42: services need the scope to hear of revocations", "auth/revocationfeed.go",
			"ViewerFrom(ctx).Require(introspectScope)", "ctx.Err()",
			"./auth", "TestActionsNeed",
		},
		{
			"T42: the endpoints for services need the scope", "web/oauth.go",
			`auth.ViewerFrom(r.Context()).Require([]string{"tokens:introspect"})`, "r.Context().Err()",
			"./test/threats", "TestT042_",
		},
		{
			"T42: a spent refresh token is not active", "auth/introspection.go",
			"if invalid != nil || generation != o.Session.Generation {", "if invalid != nil || generation == 0 {",
			"./test/threats", "TestT042_",
		},
		{
			"T42: an ended session's refresh token is not active", "auth/introspection.go",
			"if invalid != nil || generation != o.Session.Generation {", "if invalid != nil && generation == 0 || generation != o.Session.Generation {",
			"./test/threats", "TestT042_",
		},
		{
			"T43: a stale token does not lock public fields", "graph/directives.go",
			"func (directives) public(ctx context.Context, _ any, next graphql.Resolver) (any, error) {",
			"func (directives) public(ctx context.Context, _ any, next graphql.Resolver) (any, error) {\n\tmissing := &auth.UnauthenticatedError{Reason: auth.Missing}\n\tif err := auth.ViewerFrom(ctx).Authenticated(); err != nil && err.Error() != missing.Error() {\n\t\treturn nil, err\n\t}",
			"./test/threats", "TestT043_",
		},
		{
			"T44: a garbage header is not taken for none", "token/token.go",
			"return \"\", &UnauthenticatedError{Malformed}", "return \"\", &UnauthenticatedError{Missing}",
			"./test/threats", "TestT043_",
		},
		{
			"T45: one Authorization header counts", "token/token.go",
			"if len(values) > 1 || ", "if ",
			"./test/threats", "TestT043_",
		},
		{
			"T45: other schemes are refused", "token/token.go",
			" || !isScheme(scheme) || ", " || scheme == \"\" || ",
			"./test/threats", "TestT043_",
		},
		{
			"T46 T124: the database has a digest of an API token", "token/api.go",
			`return "sha256:" + hex.EncodeToString(sum[:])`, `return apiToken + hex.EncodeToString(sum[:0])`,
			"./test/threats", "TestT046_",
		},
		{
			"T47: a damaged API token is refused without the database", "token/api.go",
			"&& checksum(text[:body]) == text[body:]", "",
			"./auth", "TestADamagedAPIToken",
		},
		{
			"T48: users revoke their own API tokens alone", "auth/apitoken.go",
			"if v.ID() == userID {\n\t\treturn nil", "if v.ID() != \"\" {\n\t\treturn nil",
			"./auth", "TestAnAPITokenIsRevokedBy|TestOneSessionIsEndedBy",
		},
		{
			"T48: to revoke another's API token needs users:write", "auth/apitoken.go",
			`if v.Require([]string{"users:write"}) != nil {`, "if v.Authenticated() != nil {",
			"./auth", "TestAnAPITokenIsRevokedBy|TestOneSessionIsEndedBy",
		},
		{
			"T48: a revoked API token is refused", "auth/apitoken.go",
			"case o.Token.RevokedAt != nil:", "case o.Token.RevokedAt != nil && now.IsZero():",
			"./test/threats", everyProcess,
		},
		{
			"T49: a scope is needed to change users", "graph/directives.go",
			"return v.Require(alternatives...)", "return v.Authenticated()",
			"./test/threats", "TestT070_|TestT073_",
		},
		{
			"T49: createUser needs the scope whatever the schema says", "auth/user.go",
			"if err := v.Require([]string{\"users:write\"}); err != nil {\n\t\treturn nil, err\n\t}\n\tif in.Roles == nil {", "if in.Roles == nil {",
			"./auth", "TestActionsNeed",
		},
		{
			"T49: changing a user needs the scope whatever the schema says", "auth/user.go",
			"if err := v.Require([]string{\"users:write\"}); err != nil {\n\t\treturn nil, err\n\t}\n\tif err := db.CheckID", "if err := db.CheckID",
			"./auth", "TestActionsNeed",
		},
		{
			"T50: an API token makes no API tokens", "auth/viewer.go",
			`if v.SessionID == "" {`, `if v.SessionID == "" && v.TokenID == "" {`,
			"./test/threats", "TestT050_",
		},
		{
			"T50: an API token gives no passwords and ends no sessions", "auth/viewer.go",
			`if v.TokenID != "" {`, `if v.TokenID != "" && v.SessionID != "" {`,
			"./test/threats", "TestT050_AnAPIToken",
		},
		{
			"T50: an API token creates no user with a password", "auth/user.go",
			"if in.Password != nil {\n\t\tif err := v.noAPIToken(); err != nil {", "if in.Password != nil {\n\t\tif err := ctx.Err(); err != nil {",
			"./test/threats", "TestT050_AnAPIToken",
		},
		{
			"T50: an API token sets no password", "auth/user.go",
			"keepTokens bool) (changed *db.User, err error) {\n\tif err := ViewerFrom(ctx).noAPIToken(); err != nil {", "keepTokens bool) (changed *db.User, err error) {\n\tif err := ctx.Err(); err != nil {",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T50: an API token ends no sessions of others", "auth/session.go",
			"(ended Ended, err error) {\n\tif err := ViewerFrom(ctx).noAPIToken(); err != nil {", "(ended Ended, err error) {\n\tif err := ctx.Err(); err != nil {",
			"./test/threats", "TestT050_AnAPIToken",
		},
		{
			"T50: an API token ends no session", "auth/session.go",
			"(*db.Session, error) {\n\tif err := ViewerFrom(ctx).noAPIToken(); err != nil {", "(*db.Session, error) {\n\tif err := ctx.Err(); err != nil {",
			"./test/threats", "TestT050_AnAPIToken",
		},
		{
			"T50: an API token deletes no user", "auth/user.go",
			"userID string) error {\n\tif err := ViewerFrom(ctx).noAPIToken(); err != nil {", "userID string) error {\n\tif err := ctx.Err(); err != nil {",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T50: an API token revokes no API tokens", "auth/apitoken.go",
			"(*db.APIToken, error) {\n\tif err := ViewerFrom(ctx).noAPIToken(); err != nil {", "(*db.APIToken, error) {\n\tif err := ctx.Err(); err != nil {",
			"./test/threats", "TestT050_AnAPIToken|TestT073_",
		},
		{
			"T50 T294: an old session gives no rights without the password", "auth/stepup.go",
			"if err == nil && !s.recentSince(session.AuthenticatedAt, within) {", "if err == nil && session.AuthenticatedAt.IsZero() {",
			"./auth", "TestAnOldSessionMust",
		},
		{
			"T50: an API token gives no roles", "auth/user.go",
			"if len(s.rights.Granted(u.Roles)) > 0 {\n\t\tif err := ViewerFrom(ctx).noAPIToken(); err != nil {", "if len(s.rights.Granted(u.Roles)) > 0 {\n\t\tif err := ViewerFrom(ctx).Authenticated(); err != nil {",
			"./test/threats", "TestT050_AnAPIToken",
		},
		{
			"T50: an API token has scopes of its owner alone", "auth/apitoken.go",
			"if !s.rights.Granted(u.Roles).include(in.Scopes) {", "if !s.rights.Granted(u.Roles).include(nil) {",
			"./test/threats", "TestT050_AToken",
		},
		{
			"T50: an API token has known scopes alone", "auth/apitoken.go",
			"if !s.rights.KnownScope(scope) {", "if !s.rights.KnownScope(scope) && in.Name == \"\" {",
			"./test/threats", "TestT050_AToken",
		},
		{
			"T51: a user has 100 API tokens at most", "auth/apitoken.go",
			"if n >= maxAPITokens {", "if n >= 100*maxAPITokens {",
			"./test/threats", "TestT051_",
		},
		{
			"T51 T121: an API token's name is short text", "auth/apitoken.go",
			`if err := checkText("name", in.Name, 1, maxName); err != nil {`, `if err := checkText("name", "x", 1, maxName); err != nil {`,
			"./test/threats", "TestT051_",
		},
		{
			"T52: answers of GraphQL are not kept by caches", "graph/response.go",
			`noStore = []string{"no-store"}`, `noStore = []string{"max-age=60"}`,
			"./test/threats", "TestT052_",
		},
		{
			"T52: other answers are not kept by caches", "web/web.go",
			`w.Header().Set("Cache-Control", "no-store")`, `w.Header().Set("Cache-Control", "max-age=60")`,
			"./test/threats", "TestT052_",
		},
		{
			"T182: a feed that began before changes were heard of ends", "auth/run.go",
			"if !s.stats.hearing.Load() {", "if false {",
			"./auth", "TestAFeedThatBegan",
		},
		{
			"T141: a session may be ended without a reason", "auth/session.go",
			"o.Session.EndedBecause != nil && *o", "*o",
			"./auth", "TestASessionThatWasEndedByHand",
		},
		{
			"T183: transactions read what is committed", "db/dialect.go",
			"sql.LevelReadCommitted", "sql.LevelRepeatableRead",
			"./auth", "TestAWriteThatWaited",
		},
		{
			"T184: what is committed while everything ends, ends", "auth/session.go",
			"if err := s.db.AwaitWriters(ctx); err != nil {", "if err := ctx.Err(); err != nil {",
			"./auth", "TestWhatIsCommitted",
		},
		{
			"T185: what the queue turns away does not count", "auth/throttle.go",
			"rejected {", "rejected && a.keys == nil {",
			"./auth", "TestALoginThatTheQueue",
		},
		{
			"T144: an owner does not wait for guesses at others", "auth/throttle.go",
			"const knownFree = 3", "const knownFree = 0",
			"./auth", "TestWrongPasswordsOfAnOffice",
		},
		{
			"T186: a deleted SQLite file does not come back", "db/dialect.go",
			`q.Set("mode", "rw")`, `q.Set("mode", "rwc")`,
			"./db", "TestADeletedSQLiteFile",
		},
		{
			"T149: a process that was idle believes its clock", "auth/housekeeping.go",
			"boottime.Now()-h.cleaned < step-maxJump", "true",
			"./auth", "TestAServerThatWasNotUsed",
		},
		{
			"T30: the grace begins anew when the successor is handed out again", "auth/refresh.go",
			"return s.db.RepeatedRotation(ctx, session, now)", "return ctx.Err()",
			"./auth", "TestASpentRefreshToken",
		},
		{
			"T68: keys that could not be read are read again", "auth/keys/ring.go",
			"\t\tr.mu.Lock()\n\t\tr.read = 0", "\t\tr.mu.Lock()\n\t\tr.read += 0",
			"./auth", "TestKeysThatCouldNotBeRead",
		},
	}
}
