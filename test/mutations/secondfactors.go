package main

// Second factors, recent authentication.
func secondFactors() []mutation {
	return []mutation{
		{
			"T231: the time step of a code is remembered", "db/factor.go",
			"SET last_step = $2, last_used_at = $3 WHERE", "SET last_step = 0 * $2, last_used_at = $3 WHERE",
			"./test/threats", "TestT231_ACodeIsUsedOnce",
		},
		{
			"T232: a code is of this half minute or the next to it", "auth/totp.go",
			"totpDrift       = 1", "totpDrift       = 2",
			"./test/threats", "TestT232_",
		},
		{
			"T233: wrong codes of an account are counted from everywhere", "auth/secondfactor.go",
			"if err != nil || known {", "if err != nil || known || !known {",
			"./test/threats", "TestT233_GuessingSixDigitsIsHopeless",
		},
		{
			"T233: a challenge is void after five codes", "auth/secondfactor.go",
			"challengeTries    = 5", "challengeTries    = 500",
			"./test/threats", "TestT233_AChallengeIsVoidAfterFiveCodes",
		},
		{
			"T234: where the owner has been, guesses from elsewhere do not count", "auth/secondfactor.go",
			"if err != nil || known {", "if err != nil || known && u.ID == \"\" {",
			"./test/threats", "TestT234_",
		},
		{
			"T234: recovery codes do not wait", "auth/secondfactor.go",
			"if !isTOTP(plainCode(code)) {", "if code == \"\" {",
			"./test/threats", "TestT234_",
		},
		{
			"T235: a recovery code works once", "db/factor.go",
			"DELETE FROM recovery_codes WHERE user_id = $1 AND digest = $2`, userID, digest)", "UPDATE recovery_codes SET digest = digest WHERE user_id = $1 AND digest = $2`, userID, digest)",
			"./test/threats", "TestT235_",
		},
		{
			"T236: a challenge opens one session", "auth/secondfactor.go",
			"if err == nil && !used {\n\t\t\terr = errVoid", "if err == nil && used && !used {\n\t\t\terr = errVoid",
			"./test/threats", "TestT236_",
		},
		{
			"T237: a challenge has a MAC", "auth/secondfactor.go",
			"if !valid || u.DisabledAt != nil {", "if u.DisabledAt != nil && valid {",
			"./test/threats", "TestT237_",
		},
		{
			"T238: a challenge ends with the password", "auth/secondfactor.go",
			"for _, part := range []string{id, userID, passwordHash} {", "for _, part := range []string{id, userID, passwordHash[:0]} {",
			"./test/threats", "TestT238_",
		},
		{
			"T238: a challenge ends after five minutes", "auth/secondfactor.go",
			"challengeLifetime = 5 * time.Minute", "challengeLifetime = 50 * time.Minute",
			"./test/threats", "TestT238_",
		},
		{
			"T238: a challenge ends with its user", "auth/secondfactor.go",
			"if !valid || u.DisabledAt != nil {", "if !valid {",
			"./test/threats", "TestT238_",
		},
		{
			"T240 T249: every login asks for the second factor", "auth/login.go",
			"if err == nil && has {\n\t\terr = errSecondFactor", "if err == nil && has && slices.Contains(p.methods, MethodPassword) {\n\t\terr = errSecondFactor",
			"./auth", "TestEveryLoginOfAUserWithASecondFactorIsChallenged",
		},
		{
			"T240: a login asks for the second factor", "auth/login.go",
			"if err == nil && has {\n\t\terr = errSecondFactor", "if err == nil && has && u.ID == \"\" {\n\t\terr = errSecondFactor",
			"./test/threats", "TestT240_",
		},
		{
			"T244: factors are changed after a recent login", "auth/factor.go",
			"if err := s.recent(ctx, tx); err != nil {\n\t\treturn false, err", "if err := s.recent(ctx, tx); err != nil && userID == \"\" {\n\t\treturn false, err",
			"./auth", "TestActionsWithoutASchema",
		},
		{
			"T244: factors are changed with a second factor", "auth/factor.go",
			"if err == nil && !slices.Contains(session.Methods, MethodMFA) {", "if err == nil && session == nil {",
			"./test/threats", "TestT244_",
		},
		{
			"T245: a role has no effect without a second factor", "auth/scopes.go",
			"return Granted{}, granted", "return granted, granted",
			"./test/threats", "TestT245_",
		},
		{
			"T245: no API token gets around the second factor", "auth/apitoken.go",
			"v.withheld != nil && len(in.Scopes) > 0 {", "v.withheld != nil && len(in.Scopes) > 100 {",
			"./test/threats", "TestT245_",
		},
		{
			"T245: a program's directives do not let the role pass", "graph/adopt.go",
			"if v.RolesWithheld() && role != auth.RoleUser {", "if v.RolesWithheld() && role == auth.RoleUser {",
			"./test/threats", "TestT245_",
		},
		{
			"T246: reauthenticate asks for a code", "auth/stepup.go",
			"case has && !given:", "case has && !given && u.ID == \"\":",
			"./test/threats", "TestT246_",
		},
		{
			"T246: a new password does not renew the login", "auth/stepup.go",
			"if err != nil || has {\n\t\treturn err\n\t}\n\treturn tx.Authenticated", "if err != nil || has && userID == \"\" {\n\t\treturn err\n\t}\n\treturn tx.Authenticated",
			"./test/threats", "TestT246_",
		},
		{
			"T247: @recentAuth looks at the time", "auth/stepup.go",
			"within == 0 || !s.timestamp().After(at.Add(within).Time)", "within == 0 || !s.timestamp().After(at.Add(1000*within).Time)",
			"./graph", "TestStepUpDirectivesLetOnlySessionsPass",
		},
		{
			"T247: @mfa looks at the session", "auth/stepup.go",
			"if err == nil && !slices.Contains(session.Methods, MethodMFA) {\n\t\terr = &MFARequiredError{}", "if err == nil && !slices.Contains(session.Methods, MethodPassword) {\n\t\terr = &MFARequiredError{}",
			"./graph", "TestStepUpDirectivesLetOnlySessionsPass",
		},
		{
			"T247: what is written directly asks for a second factor", "graph/stepup.go",
			"return auth.ViewerFrom(ctx).MFA() }", "return auth.ViewerFrom(ctx).User != nil }",
			"./graph", "TestStepUpDirectivesLetOnlySessionsPass",
		},
		{
			"T247: a duration that cannot be read stops the start", "graph/stepup.go",
			"if err != nil || d < time.Second {", "if err != nil && d < 0 {",
			"./graph", "TestStepUpDirectivesThatMeanNothing",
		},
		{
			"T248: an administrator does not reset the own factors", "auth/factor.go",
			"if v.ID() == userID { // the thief", "if v.ID() == userID+\"x\" { // the thief",
			"./test/threats", "TestT248_",
		},
		{
			"T250: old challenges are deleted", "auth/housekeeping.go",
			"h.db.DeleteExpiredLoginChallenges(ctx, now)", "nil",
			"./auth", "TestChallengesAreDeleted",
		},
	}
}
