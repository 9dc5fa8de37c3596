package main

// Authorization.
func authorization() []mutation {
	return []mutation{
		{
			"T70: @authenticated refuses anonymous callers", "graph/directives.go",
			"func authenticated(v *auth.Viewer) error { return v.Authenticated() }", "func authenticated(*auth.Viewer) error { return nil }",
			"./test/threats", "TestT070_",
		},
		{
			"T70 T72: @requiresScopes refuses callers without the scopes", "graph/directives.go",
			"return v.Require(alternatives...)", "return v.Authenticated()",
			"./test/threats", "TestT070_",
		},
		{
			"T70 T72: a caller without the scopes is refused", "auth/viewer.go",
			"case v.operator || v.Scopes.Satisfy(alternatives):", "case v.operator || v.Scopes.Satisfy(alternatives) || v.User != nil:",
			"./test/threats", "TestT070_",
		},
		{
			"T70: all scopes of a way are needed", "auth/scopes.go",
			"if !slices.Contains(g, s) {\n\t\t\treturn false", "if len(g) == 0 && s != \"\" {\n\t\t\treturn false",
			"./test/threats", "TestT049_|TestT050_|TestT042_",
		},
		{
			"T71: login unlocks its own payload alone", "graph/directives.go",
			"return next(obj.(*auth.LoginPayload).WithViewer(ctx))", "*auth.ViewerFrom(ctx) = *auth.ViewerFrom(obj.(*auth.LoginPayload).WithViewer(ctx))\n\treturn next(ctx)",
			"./test/threats", "TestT071_ALogin",
		},
		{
			"T72: nobody manages a user with more scopes", "auth/user.go",
			"if ViewerFrom(ctx).has(theirs) {", "if len(theirs) >= 0 {",
			"./auth", "TestNobodyRises",
		},
		{
			"T72: nobody creates a user with more scopes", "auth/user.go",
			"\tif err == nil {\n\t\terr = s.mayGive(ctx, u)\n\t}\n", "",
			"./auth", "TestNobodyRises",
		},
		{
			"T72: nobody gives scopes that they do not have", "auth/user.go",
			"kind = EventRolesChanged\n\t\t\tif err := s.mayGive(ctx, u); err != nil {", "kind = EventRolesChanged\n\t\t\tif err := ViewerFrom(ctx).Authenticated(); err != nil {",
			"./auth", "TestNobodyRises",
		},
		{
			"T73 T74: others' objects are not found", "auth/viewer.go",
			"if v.ID() == userID || v.has", "if v.ID() != \"\" || v.has",
			"./test/threats", "TestT073_AnothersObject",
		},
		{
			"T73: another's object is refused as one that does not exist", "auth/viewer.go",
			"\treturn db.ErrNotFound\n", "\treturn &ForbiddenError{Message: \"this is another's\"}\n",
			"./test/threats", "TestT073_AnothersObject",
		},
		{
			"T73: an ended session is not found", "auth/session.go",
			"if err == nil && !session.Live(s.timestamp()) {", "if err == nil && session.ID == \"\" {",
			"./test/threats", "TestT073_AnEndedObject",
		},
		{
			"T73: a revoked API token is not found", "auth/apitoken.go",
			"if err == nil && t.RevokedAt != nil {", "if err == nil && t.ID == \"\" {",
			"./test/threats", "TestT073_AnEndedObject",
		},
		{
			"T73: another's session is not found", "auth/session.go",
			"\tif err == nil {\n\t\terr = ViewerFrom(ctx).maySee(session.UserID)\n\t}\n", "",
			"./test/threats", "TestT073_AnothersObject",
		},
		{
			"T73: another's API token is not found", "auth/apitoken.go",
			"\tif err == nil {\n\t\terr = ViewerFrom(ctx).maySee(t.UserID)\n\t}\n", "",
			"./test/threats", "TestT073_AnothersObject",
		},
		{
			"T73 T74: another user is not found", "auth/user.go",
			"if err := ViewerFrom(ctx).maySee(id); err != nil {", "if err := ctx.Err(); err != nil {",
			"./test/threats", "TestT074_",
		},
		{
			"T73: another's sessions are not listed", "auth/session.go",
			"if err := ViewerFrom(ctx).maySee(userID); err != nil {\n\t\treturn db.PageOf[db.Session]{}, err", "if err := ctx.Err(); err != nil {\n\t\treturn db.PageOf[db.Session]{}, err",
			"./auth", "TestUsersSeeTheirOwnAlone",
		},
		{
			"T73: another's sessions are not counted", "auth/session.go",
			"if err := ViewerFrom(ctx).maySee(userID); err != nil {\n\t\treturn 0, err", "if err := ctx.Err(); err != nil {\n\t\treturn 0, err",
			"./auth", "TestUsersSeeTheirOwnAlone",
		},
		{
			"T73: another's API tokens are not listed", "auth/apitoken.go",
			"if err := ViewerFrom(ctx).maySee(userID); err != nil {\n\t\treturn db.PageOf[db.APIToken]{}, err", "if err := ctx.Err(); err != nil {\n\t\treturn db.PageOf[db.APIToken]{}, err",
			"./auth", "TestUsersSeeTheirOwnAlone",
		},
		{
			"T73: another's API tokens are not counted", "auth/apitoken.go",
			"if err := ViewerFrom(ctx).maySee(userID); err != nil {\n\t\treturn 0, err", "if err := ctx.Err(); err != nil {\n\t\treturn 0, err",
			"./auth", "TestUsersSeeTheirOwnAlone",
		},
		{
			"T74: users are listed for users:read alone, whatever the schema says", "auth/user.go",
			"if err := ViewerFrom(ctx).Require([]string{\"users:read\"}); err != nil {\n\t\treturn db.PageOf[db.User]{}, err", "if err := ctx.Err(); err != nil {\n\t\treturn db.PageOf[db.User]{}, err",
			"./auth", "TestActionsNeed",
		},
		{
			"T74: users are counted for users:read alone, whatever the schema says", "auth/user.go",
			"if err := ViewerFrom(ctx).Require([]string{\"users:read\"}); err != nil {\n\t\treturn 0, err", "if err := ctx.Err(); err != nil {\n\t\treturn 0, err",
			"./auth", "TestActionsNeed",
		},
		{
			"T74: users are found by name for users:read alone", "auth/user.go",
			"if err := ViewerFrom(ctx).Require([]string{\"users:read\"}); err != nil {\n\t\treturn nil, err", "if err := ctx.Err(); err != nil {\n\t\treturn nil, err",
			"./auth", "TestActionsNeed",
		},
		{
			"T74: events of all are listed for audit:read alone, whatever the schema says", "auth/event.go",
			"if err := ViewerFrom(ctx).Require([]string{\"audit:read\"}); err != nil {\n\t\treturn db.PageOf[db.Event]{}, err", "if err := ctx.Err(); err != nil {\n\t\treturn db.PageOf[db.Event]{}, err",
			"./auth", "TestActionsNeed",
		},
		{
			"T74: events of all are counted for audit:read alone, whatever the schema says", "auth/event.go",
			"if err := ViewerFrom(ctx).Require([]string{\"audit:read\"}); err != nil {\n\t\treturn 0, err", "if err := ctx.Err(); err != nil {\n\t\treturn 0, err",
			"./auth", "TestActionsNeed",
		},
		{
			"T74: events of all are heard with audit:read alone, whatever the schema says", "auth/event.go",
			"if err := ViewerFrom(ctx).Require([]string{\"audit:read\"}); err != nil {\n\t\treturn nil, err", "if err := ctx.Err(); err != nil {\n\t\treturn nil, err",
			"./auth", "TestActionsNeed",
		},
		{
			"T74: subscribers hear of their own account alone", "auth/event.go",
			"return e.UserID != nil && *e.UserID == v.ID() }", "return true || v == nil }",
			"./test/server", "TestSecurityEventsReach",
		},
		{
			"T72: only the operator makes API tokens for others", "auth/apitoken.go",
			"if !ViewerFrom(ctx).operator {\n\t\treturn \"\", nil,", "if ctx.Err() != nil {\n\t\treturn \"\", nil,",
			"./auth", "TestActionsNeed",
		},
		{
			"T72: only the operator ends everything", "auth/session.go",
			"if !ViewerFrom(ctx).operator {\n\t\treturn Ended{},", "if ctx.Err() != nil {\n\t\treturn Ended{},",
			"./auth", "TestActionsNeed",
		},
		{
			"T72: only the operator rotates keys", "auth/keys.go",
			"if !ViewerFrom(ctx).operator {\n\t\treturn &ForbiddenError{Message: \"only the operator rotates", "if ctx.Err() != nil {\n\t\treturn &ForbiddenError{Message: \"only the operator rotates",
			"./auth", "TestActionsNeed",
		},
		{
			"T72: only the operator retires keys", "auth/keys.go",
			"if !ViewerFrom(ctx).operator {\n\t\treturn &ForbiddenError{Message: \"only the operator retires", "if ctx.Err() != nil {\n\t\treturn &ForbiddenError{Message: \"only the operator retires",
			"./auth", "TestActionsNeed",
		},
		{
			"T191 T192: entities are users whom the viewer may see", "auth/user.go",
			"if ViewerFrom(ctx).maySee(id) == nil {", "if id != \"\" {",
			"./test/threats", "TestEntities",
		},
		{
			"T193: representations count in the cost", "graph/cost.go",
			"if field.Name == \"_entities\" {", "if field.Name == \"\" {",
			"./test/threats", "TestRepresentations",
		},
		{
			"T193: each representation costs something", "graph/cost.go",
			"variables), plus(1, plus(below.cost", "variables), plus(0, plus(below.cost",
			"./test/threats", "TestRepresentations",
		},
		{
			"T193: representations have a maximum", "graph/subgraph.go",
			"if len(representations) > maxRepresentations {", "if len(representations) > 100*maxRepresentations {",
			"./test/threats", "TestRepresentations",
		},
		{
			"T194: _service follows the setting for introspection", "graph/subgraph.go",
			"case graphql.GetOperationContext(ctx).DisableIntrospection:", "case ctx == nil:",
			"./test/threats", "TestT076_TheSchema",
		},
		{
			"T194: _service is asked for twice at most", "graph/cost.go",
			` || field.Name == "_service" {`, " {",
			"./test/threats", "TestTheSubgraphsSchema",
		},
		{
			"T195: keys are IDs of users", "graph/subgraph.go",
			"if db.CheckID(kind, ids[i]) != nil {", "if db.KindOf(ids[i]) == db.EventID {",
			"./test/threats", "TestHostileRepresentations",
		},
		{
			"T195: entities are of types with a key", "graph/subgraph.go",
			"if typeName == \"User\" {", "if typeName != \"\" {",
			"./test/threats", "TestHostileRepresentations",
		},
		{
			"T76: introspection is for those whom the setting names", "graph/handler.go",
			"op.DisableIntrospection = !(", "op.DisableIntrospection = known && !known && !(",
			"./test/threats", "TestT076_TheSchema",
		},
		{
			"T76: introspection has a depth", "graph/cost.go",
			`{"introspectionDepth", t.introspectionDepth, l.IntrospectionDepth,`, `{"introspectionDepth", 0, l.IntrospectionDepth,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T76: introspection has a size", "graph/cost.go",
			`{"introspectionSelections", t.introspectionFields, l.IntrospectionSelections,`, `{"introspectionSelections", 0, l.IntrospectionSelections,`,
			"./graph", "TestAScreenAtALimit",
		},
		{
			"T76: the schema is asked for in depth twice at most", "graph/cost.go",
			`{"deepIntrospections", t.deepIntrospections, maxDeepIntrospections,`, `{"deepIntrospections", 0, maxDeepIntrospections,`,
			"./graph", "TestIntrospectionsOfAnOperation",
		},
		{
			"T76: the schema is asked for five times at most", "graph/cost.go",
			`{"introspections", t.introspections, maxIntrospections,`, `{"introspections", 0, maxIntrospections,`,
			"./graph", "TestIntrospectionsOfAnOperation",
		},
		{
			"T76: introspection has few aliases", "graph/cost.go",
			`{"introspectionAliases", t.introspectionAliases, maxIntrospectionAliases,`, `{"introspectionAliases", 0, maxIntrospectionAliases,`,
			"./graph", "TestScreensOfAnApplication",
		},
		{
			"T78: IDs are random", "db/id.go",
			"return newID(kind, uuid.Must(uuid.NewV7()))", "u := uuid.Must(uuid.NewV7())\n\tcopy(u[8:], make([]byte, 8))\n\treturn newID(kind, u)",
			"./test/threats", "TestT078_",
		},
		{
			"T79: a locked root field is nullable", "graph/access.go",
			`case root && field.Type.NonNull && access[0].Name != "public":`, `case root && field.Type.NonNull && access[0].Name == "":`,
			"./graph", "TestAnUnguardedField",
		},
		{
			"T80: an unguarded field stops the start", "graph/access.go",
			"if err != nil {\n\t\treturn fmt.Errorf(\"the schema leaves fields unguarded", "if err != nil && schema == nil {\n\t\treturn fmt.Errorf(\"the schema leaves fields unguarded",
			"./graph", "TestASchemaWithAnUnguardedField",
		},
		{
			"T80: a root field without a guard is a fault", "graph/access.go",
			"closed := root || def", "closed := def",
			"./graph", "TestAnUnguardedField",
		},
		{
			"T80: a field of a sensitive type without a guard is a fault", "graph/access.go",
			`closed := root || def.Directives.ForName("sensitive") != nil`, "closed := root",
			"./graph", "TestAnUnguardedField",
		},
		{
			"T80: report mode leaves no sensitive type open", "graph/access.go",
			`closed && c.Report && def.Directives.ForName("sensitive") == nil`, "closed && c.Report",
			"./graph", "TestReportMode",
		},
		{
			"T80: fields are left open where report mode says so", "graph/access.go",
			"case len(access) == 0 && closed && c.Report &&", "case len(access) == 0 && closed &&",
			"./graph", "TestAnUnguardedField",
		},
		{
			"T72: a role of a program's own is needed", "graph/adopt.go",
			"!slices.Contains(v.User.Roles, role) || ", `role == "" && !slices.Contains(v.User.Roles, role) || `,
			"./graph", "TestARoleOfTheProgramsOwn",
		},
		{
			"T50: an API token needs the scopes of a role", "graph/adopt.go",
			`v.TokenID == "" || len(scopes) > 0 && v.Scopes`, `v.TokenID == "" || len(scopes) >= 0 || v.Scopes`,
			"./graph", "TestARoleOfTheProgramsOwn",
		},
		{
			"T80: a guard on a type is a fault", "graph/access.go",
			"if d := accessOf(def.Directives); len(d) > 0 {", "if d := accessOf(def.Directives); len(d) > 9 {",
			"./graph", "TestAnUnguardedField",
		},
		{
			"T80: an unknown scope is a fault", "graph/access.go",
			"if !c.Rights.KnownScope(scope) {", "if !c.Rights.KnownScope(scope) && d == nil {",
			"./graph", "TestAnUnguardedField",
		},
		{
			"T80: scopes that everybody has are a fault", "graph/access.go",
			"if len(all) == 0 {", "if len(all) < 0 {",
			"./graph", "TestAnUnguardedField",
		},
		{
			"T80: each directive has a function", "graph/directives.go",
			", Mfa: d.mfa}", "}",
			"./graph", "TestEveryDirective",
		},
		{
			"T81: a cursor is an ID of the list", "graph/relay/relay.go",
			"|| db.CheckID(kind, string(b)) != nil ", "",
			"./test/threats", "TestT081_",
		},
		{
			"T81: a cursor has one spelling", "graph/relay/relay.go",
			" || cursorOf(string(b)) != cursor", "",
			"./test/threats", "TestT081_",
		},
		{
			"T81: a list shows its owner's rows alone", "db/session.go",
			"From: `sessions`, Where: `user_id = $1 AND", "From: `sessions`, Where: `$1 <> '' AND",
			"./test/threats", "TestT081_",
		},
	}
}
