package main

// guard lists the protections against clients that claim to be others, or to be many, and of services that verify.
func guard() []mutation {
	return []mutation{
		{
			"DNS rebinding: other host names are refused", "web/hosts.go",
			"if known || isProbe(r) {", `if known || isProbe(r) || host != "" {`,
			"./test/threats", "TestAReboundName",
		},
		{
			"DNS rebinding: over loopback an address or short name does not pass", "web/hosts.go",
			"(proxied || !overLoopback(r)) && cannotBeRebound(host)", "(proxied || !overLoopback(r) || proxied == proxied) && cannotBeRebound(host)",
			"./test/threats", "TestAReboundName",
		},
		{
			"traces: an untrusted client does not decide what is sampled", "web/guard.go",
			"c.Trace(h, !proxied)", "c.Trace(h, proxied && !proxied)",
			"./test/server", "TestTracesBelieve",
		},
		{
			"traces: a forged address does not get into traces", "web/client.go",
			"		delete(r.Header, forwardedFor)\n", "",
			"./web", "TestForwardedAddresses",
		},
		{
			"services: an authenticated one has a rate of its own", "web/rates.go",
			"limiter, _ = s.limiters.Get(holder{service: token})", "",
			"./test/threats", "TestAFloodFromTheAddress",
		},
		{
			"services: a refused token has no rate of its own", "web/rates.go",
			"s.limiters.Remove(holder{service: token})", "",
			"./web", "TestARevokedService",
		},
		{
			"services: few questions about made-up API tokens", "verify/introspect.go",
			"if !v.unknownRate.Allow() {", "if v.unknownRate == nil {",
			"./verify", "TestMadeUpAPITokensLeave",
		},
		{
			"services: few questions at once about made-up API tokens", "verify/introspect.go",
			"case v.unknownSlots <- struct{}{}:\n\t\treturn func() { <-v.unknownSlots }, nil", "case v.unknownSlots <- struct{}{}:\n\t\t<-v.unknownSlots\n\t\treturn func() {}, nil",
			"./verify", "TestQuestionsAboutUnknown",
		},
		{
			"services: a clock that is set back revives no revoked token", "verify/feed.go",
			" || t.viewer.Expires.Before(f.cutoff)", "",
			"./verify", "TestAClockThatJumps",
		},
		{
			"services: with a wrong clock each token is introspected", "verify/feed.go",
			"if wrong {", "if wrong && server == 0 {",
			"./verify", "TestWhileTheClock",
		},
		{
			"services: parts of a set count when it is whole", "verify/feed.go",
			`return complete, f.addPart(r)`, `return true, f.addPart(r)`,
			"./verify", "TestACompleteSetMay",
		},
		{
			"services: a change tells what it revoked only", "auth/revocationfeed.go",
			"r.Sessions = h.sent.unsent(r.Sessions); r.Len() > 0", "_ = h.sent.unsent(r.Sessions); r.Len() > 0",
			"./test/server", "TestTheFeedTells",
		},
		{
			"services: long sets come in parts", "web/oauth.go",
			"if r.Len() <= partSize {", "if r.Len() >= 0 {",
			"./test/server", "TestALongSet",
		},
	}
}
