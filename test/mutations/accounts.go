package main

// Guessing and accounts.
func accounts() []mutation {
	return []mutation{
		{
			"T1 T3: one operation checks one credential", "graph/cost.go",
			`measurement{"credentials", t.credentials, maxCredentials,`, `measurement{"credentials", 0, maxCredentials,`,
			"./test/threats", "TestT001_",
		},
		{
			"T1: refresh, changePassword and createApiToken count as credentials", "graph/cost.go",
			`if field.Directives.ForName("credentials") != nil {`, `if field.Name == "login" {`,
			"./graph", "TestOneRequestTriesOnePassword",
		},
		{
			"T2 T97: an array of operations is no request", "graph/body.go",
			"data = bytes.Trim(data, jsonSpace)\n\tswitch {", "data = bytes.Trim(data, jsonSpace+\"[]\")\n\tswitch {",
			"./test/threats", "TestT097_",
		},
		{
			"T4: an account is slowed down at one client", "auth/throttle.go",
			"accountAtClient = db.ThrottleRule{Free: 8,", "accountAtClient = db.ThrottleRule{Free: 8000,",
			"./test/threats", "TestT004_",
		},
		{
			"T4: a slowed client is told when to retry", "graph/response.go",
			`h.Set("Retry-After", retry)`, `_ = retry`,
			"./test/threats", "TestT004_",
		},
		{
			"T5: an account is slowed down at all clients", "auth/throttle.go",
			"accountAnywhere = db.ThrottleRule{Free: 80,", "accountAnywhere = db.ThrottleRule{Free: 8000,",
			"./test/threats", "TestT005_",
		},
		{
			"T5 T24: spellings of a name share one budget", "auth/login.go",
			`cmp.Or(u.ID, "name "+UsernameKey(name))`, `cmp.Or("name "+name, u.ID)`,
			"./test/threats", "TestT005_|TestT024_",
		},
		{
			"T5: a user name and an address share one budget", "auth/login.go",
			`cmp.Or(u.ID, "name "+UsernameKey(name))`, `cmp.Or("name "+UsernameKey(name), u.ID)`,
			"./test/threats", "TestT005_",
		},
		{
			"T6: a client is slowed down at all accounts", "auth/throttle.go",
			"unknownAtClient = db.ThrottleRule{Free: 25,", "unknownAtClient = db.ThrottleRule{Free: 25000,",
			"./test/threats", "TestT006_",
		},
		{
			"T6: an office is slowed down at the accounts of its people", "auth/throttle.go",
			"knownAtClient = db.ThrottleRule{Free: 100,", "knownAtClient = db.ThrottleRule{Free: 100000,",
			"./auth", "TestWhoeverHasAnAccount|TestWrongPasswordsOfAnOffice",
		},
		{
			"T7: an untrusted peer cannot claim an address", "web/client.go",
			"if err != nil || !contains(trusted, peer.Addr()) {", "if err != nil || peer.Port() == 0 {",
			"./test/threats", "TestT007_",
		},
		{
			"T7: only the last untrusted hop counts", "web/client.go",
			"range slices.Backward(hops)", "range slices.All(hops)",
			"./test/threats", "TestT007_",
		},
		{
			"T8: the owner's network is not slowed down by others", "auth/throttle.go",
			"if !known {", "if !known || known {",
			"./test/threats", "TestT005_",
		},
		{
			"T9: guesses by WebSocket are counted", "auth/throttle.go",
			"accountAtClient = db.ThrottleRule{Free: 8,", "accountAtClient = db.ThrottleRule{Free: 8000,",
			"./test/threats", "TestT009_",
		},
		{
			"T9: one message checks one credential", "graph/cost.go",
			`measurement{"credentials", t.credentials, maxCredentials,`, `measurement{"credentials", 0, maxCredentials,`,
			"./test/threats", "TestT009_",
		},
		{
			"T10: an unknown user gets the same answer", "auth/login.go",
			"if !ok || u.DisabledAt != nil {", "if u.ID == \"\" {\n\t\treturn nil, db.ErrNotFound\n\t}\n\tif !ok || u.DisabledAt != nil {",
			"./test/threats", "TestT010_",
		},
		{
			"T11: an unknown user costs a hash", "auth/password.go",
			"hash = h.dummy", "return false, false, nil",
			"./test/threats", "TestT011_",
		},
		{
			"T11: an imported user costs what others cost", "auth/password.go",
			"	h.spendBcrypt(password)\n", "",
			"./auth", "TestRefusedLoginsCostTheSameForImportedUsers",
		},
		{
			"T20: what bcrypt has not read does not become the password", "auth/bcrypt.go",
			"return ok, len(password) <= bcryptReads, nil", "return ok, true, nil",
			"./auth", "TestAPasswordLongerThanBcryptReadsKeepsItsHash",
		},
		{
			"T27: an imported hash is replaced at the login", "auth/bcrypt.go",
			"return ok, len(password) <= bcryptReads, nil", "return ok, false, nil",
			"./auth", "TestAnImportedUserKeepsThePassword",
		},
		{
			"T50: only the operator chooses a password's hash", "auth/import.go",
			"if !ViewerFrom(ctx).operator {", "if false {",
			"./auth", "TestOnlyTheOperatorImportsUsers",
		},
		{
			"T12: a disabled user is refused as after a wrong password", "auth/login.go",
			"if !ok || u.DisabledAt != nil {", "if !ok {",
			"./test/threats", "TestT011_",
		},
		{
			"T12 T38: a user disabled during the login gets no session", "db/user.go",
			"AND password_hash = $4 AND disabled_at IS NULL", "AND password_hash = $4",
			"./db", "TestALoginKeeps",
		},
		{
			"T16: the first administrator's password is random", "app/serve.go",
			"password := generatePassword()", `password := "aaaaa-bbbbb-ccccc-ddddd-eeeeee"`,
			"./app", "TestScripts/sqlite/first_start$",
		},
		{
			"T16: generated passwords are random", "app/password.go",
			"strings.ToLower(rand.Text())", `strings.ToLower(rand.Text()[:0] + "abcdefghijklmnopqrstuvwxyz")`,
			"./app", "TestScripts/sqlite/first_start$",
		},
		{
			"T16: the secret that the first start makes is random", "auth/keys/secret.go",
			"rand.Read(b)", `rand.Read(b[copy(b, "the same secret for everybody!!!!"):])`,
			"./app", "TestScripts/sqlite/first_start$",
		},
		{
			"T17: there is one first administrator", "auth/user.go",
			"if err != nil || n > 0 {", "if err != nil || n > 1000 {",
			"./test/threats", "TestT017_",
		},
		{
			"T18: a huge password is not hashed", "auth/login.go",
			"if len(in.Password) > maxPasswordBytes {", "if len(in.Password) > maxPasswordBytes<<20 {",
			"./test/threats", "TestT018_",
		},
		{
			"T18: a huge current password is not hashed", "auth/user.go",
			"if len(password) > maxPasswordBytes {", "if len(password) > maxPasswordBytes<<20 {",
			"./test/threats", "TestT018_",
		},
		{
			"T19: as many hashes at once as processors but one", "auth/password.go",
			"make(chan struct{}, max(runtime.GOMAXPROCS(0)-1, 1))", "make(chan struct{}, runtime.GOMAXPROCS(0)+1000)",
			"./test/threats", "TestT019_",
		},
		{
			"T19: few logins wait for a hash", "auth/password.go",
			"h.waiting.Add(1) > maxWaiting", "h.waiting.Add(1) > 1000*maxWaiting",
			"./auth", "TestHashesBeyond",
		},
		{
			"T20: the whole password counts", "auth/password.go",
			"[]byte(norm.NFKC.String(password))", "[]byte(norm.NFKC.String(password[:min(len(password), 72)]))",
			"./auth", "TestLongPasswordsDifferAtTheirEnd",
		},
		{
			"T20: the case of a password counts", "auth/password.go",
			"[]byte(norm.NFKC.String(password))", "[]byte(strings.ToLower(norm.NFKC.String(password)))",
			"./test/threats", "TestT020_",
		},
		{
			"T20: spaces at the ends of a password count", "auth/password.go",
			"[]byte(norm.NFKC.String(password))", "[]byte(strings.TrimSpace(norm.NFKC.String(password)))",
			"./test/threats", "TestT020_",
		},
		{
			"T21: short passwords are refused", "auth/password.go",
			"case utf8.RuneCountInString(p) < minPasswordChars:", "case p == \"\":",
			"./test/threats", "TestT021_",
		},
		{
			"T21: blank passwords are refused", "auth/password.go",
			`case strings.TrimSpace(p) == "":`, `case p == "":`,
			"./test/threats", "TestT021_",
		},
		{
			"T21 T27: common passwords are refused", "auth/password.go",
			"case passwords.Common(p):", "case false && passwords.Common(p):",
			"./test/threats", "TestT021_",
		},
		{
			"T21: passwords made of the account's names are refused", "auth/password.go",
			"case resemblesUser(strings.ToLower(p), u):", "case false && resemblesUser(strings.ToLower(p), u):",
			"./test/threats", "TestT021_",
		},
		{
			"T21: new passwords have a maximum length", "auth/password.go",
			"if len(password) > maxPasswordBytes {", "if len(password) > maxPasswordBytes<<20 {",
			"./auth", "TestPasswordPolicy",
		},
		{
			"T22: passwords are normalised", "auth/password.go",
			"[]byte(norm.NFKC.String(password))", `append([]byte(password), norm.NFKC.String("")...)`,
			"./test/threats", "TestT022_",
		},
		{
			"T23: a password that is no text is refused", "graph/scalar/scalar.go",
			`return "", Error("must be a String")`, `return "", nil`,
			"./test/threats", "TestT023_",
		},
		{
			"T23: a literal of the wrong type is not repeated", "graph/validation.go",
			"e.Message = anyValue + describeLiteral(e.Message)", "describeLiteral(e.Message)",
			"./test/threats", "TestT023_",
		},
		{
			"T24: only ASCII letters fold", "auth/names.go",
			"func UsernameKey(username string) string { return foldASCII(username) }", "func UsernameKey(username string) string { return strings.ToLower(strings.ToUpper(username)) }",
			"./test/threats", "TestT024_",
		},
		{
			"T25: user names have ASCII characters alone", "auth/names.go",
			"strings.ContainsFunc(foldASCII(username), foreign)", "false && strings.ContainsFunc(foldASCII(username), foreign)",
			"./test/threats", "TestT025_",
		},
		{
			"T25: user names have a maximum length", "auth/names.go",
			"len(username) > maxUsername", "len(username) > 1000*maxUsername",
			"./test/threats", "TestT025_",
		},
		{
			"T25: user names are unique in any case", "auth/user.go",
			"UsernameKey(*c.Username)", "*c.Username",
			"./test/threats", "TestT025_",
		},
		{
			"T26: a new password needs the current one", "auth/user.go",
			"if err == nil && !ok {", `if err == nil && !ok && password == "" {`,
			"./test/threats", "TestT026_|TestT070_",
		},
		{
			"T26: guessing the current password is slowed down", "auth/user.go",
			"s.attempt(ctx, u.ID, u)", "s.attempt(ctx, db.NewID(db.UserID), u)",
			"./test/threats", "TestT026_",
		},
		{
			"T26: a password that was changed meanwhile proves nothing", "auth/user.go",
			"if err == nil && u.PasswordHash != verified.PasswordHash {", `if err == nil && u.PasswordHash == "" {`,
			"./auth", "TestAPasswordThatWasChanged",
		},
		{
			"T26 T50: an administrator's session does not set its own password without the current one", "auth/user.go",
			"if ViewerFrom(ctx).ID() == userID {", "if ViewerFrom(ctx).ID() == userID && userID == \"\" {",
			"./test/threats", "TestT050_",
		},
		{
			"T27: an old hash is made anew at the login", "auth/password.go",
			"== 1 && known, p != h.params, nil", "== 1 && known, false, nil",
			"./test/threats", "TestT027_",
		},
		{
			"T28: the last administrator stays", "auth/user.go",
			"if err == nil && n == 0 {", "if err == nil && n < 0 {",
			"./test/threats", "TestT028_",
		},
		{
			"T28: changes of administrators wait for each other", "auth/user.go",
			"tx.LockAdministrators(ctx); err != nil {\n\t\t\treturn nil, err", "ctx.Err(); err != nil {\n\t\t\treturn nil, err",
			"./auth", "TestAdministratorsWhoDemote",
		},
		{
			"T28: disabled administrators do not count", "db/user.go",
			"WHERE disabled_at IS NULL AND roles LIKE '", "WHERE roles LIKE '",
			"./db", "TestDisabledAdministratorsDoNotCount",
		},
	}
}
