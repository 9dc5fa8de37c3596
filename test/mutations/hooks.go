package main

// Hooks and webhooks.
func hooks() []mutation {
	return []mutation{
		{
			"T221: a URL of a private address is refused at the start", "auth/webhooks/webhooks.go",
			"if err == nil && !netaddr.Public(addr) || strings", "if err == nil && netaddr.Public(addr) && false || strings",
			"./auth/webhooks", "TestURLsOfPrivateAddressesAreRefused",
		},
		{
			"T221: https only", "auth/webhooks/webhooks.go",
			`if u.Scheme != "https" {`, "if false {",
			"./auth/webhooks", "TestURLsOfPrivateAddressesAreRefused",
		},
		{
			"T221: proxies of the environment are not used", "auth/webhooks/client.go",
			"DialContext: dialer.DialContext,", "Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext,",
			"./auth/webhooks", "TestTheProxyOfTheEnvironmentIsNotUsed",
		},
		{
			"T222: the address of a connection is checked", "auth/webhooks/client.go",
			"if err != nil || !netaddr.Public(to.Addr()) {", "if err != nil || netaddr.Public(to.Addr()) && false {",
			"./auth/webhooks", "TestANameThatResolvesToAPrivateAddressIsNotConnectedTo",
		},
		{
			"T223: redirects are not followed", "auth/webhooks/client.go",
			"return http.ErrUseLastResponse }", "return nil }",
			"./auth/webhooks", "TestARedirectIsNotFollowed",
		},
		{
			"T224: IPv4 in IPv6", "internal/netaddr/netaddr.go",
			"return a.Unmap().WithZone(\"\")", "return a.WithZone(\"\")",
			"./internal/netaddr", "TestAddressesOfThisMachineAndItsNetworkAreNotPublic",
		},
		{
			"T224: addresses behind NAT64", "internal/netaddr/public.go",
			"if nat64.Contains(a) {", "if nat64.Contains(a) {\n\t\treturn true\n\t}\n\tif false {",
			"./internal/netaddr", "TestAddressesOfThisMachineAndItsNetworkAreNotPublic",
		},
		{
			"T224: 6to4 and Teredo, and special networks", "internal/netaddr/public.go",
			"if p.Contains(a) {", "if false && p.Contains(a) {",
			"./internal/netaddr", "TestAddressesOfThisMachineAndItsNetworkAreNotPublic",
		},
		{
			"T225: the body is signed", "auth/webhooks/message.go",
			"signer.Sign(id, at, []byte(body))", "signer.Sign(id, at, nil)",
			"./auth/webhooks", "TestAMessageIsSigned|TestAForged",
		},
		{
			"T226: the time of the attempt is signed", "auth/webhooks/message.go",
			"at := b.Now()", "at := time.Now()",
			"./auth/webhooks", "TestAForgedOrReplayedMessageIsNotVerified",
		},
		{
			"T227: the secret is not accepted in a flag", "app/settings_webhook.go",
			"if s.Secret != os.Getenv(webhookSecretEnv) {", "if s.Secret == webhookSecretEnv+os.Getenv(webhookSecretEnv) {",
			"./app", "TestScripts/sqlite/webhook$",
		},
		{
			"T228: an answer is not read to its end", "auth/webhooks/client.go",
			"io.CopyN(io.Discard, response.Body, 4<<10)", "io.Copy(io.Discard, response.Body)",
			"./auth/webhooks", "TestASlowReceiverDelaysNoOther",
		},
		{
			"T228: receivers do not wait for each other", "auth/webhooks/queue.go",
			"all.Go(func() { f(q) })", "f(q)",
			"./auth/webhooks", "TestASlowReceiverDelaysNoOther",
		},
		{
			"T229: a delivery is given up", "auth/webhooks/queue.go",
			"|| w.Attempts > len(backoff) {", "|| w.Attempts > 1000 {",
			"./auth/webhooks", "TestADeliveryIsGivenUpAndCanBeRetried",
		},
		{
			"T229: old deliveries are deleted", "db/webhook.go",
			"`failed_at < $1`", "`failed_at < $1 AND false`",
			"./auth/webhooks", "TestOldDeliveriesAreDeleted",
		},
		{
			"T229: attempts are bounded", "auth/webhooks/queue.go",
			"make(chan struct{}, attemptsAtOnce)", "make(chan struct{}, 1000)",
			"./auth/webhooks", "TestMessagesThatWaitAreNotInMemory",
		},
		{
			"T230: an error of the hook undoes the action", "auth/hooks.go",
			"return s.onEvent(ctx, tx, e)\n\t}\n\tif err", "_ = s.onEvent(ctx, tx, e)\n\t\treturn nil\n\t}\n\tif err",
			"./auth", "TestAnErrorOfTheHook",
		},
		{
			"T230: an error of the hook undoes no refusal", "auth/hooks.go",
			"if !onlyReported[e.Kind] {", "if true {",
			"./auth", "TestAnErrorOfTheHook",
		},
		{
			"T230: what the hook has written is undone alone", "db/savepoint.go",
			"`ROLLBACK TO SAVEPOINT attempted`", "`RELEASE SAVEPOINT attempted`",
			"./auth", "TestAnErrorOfTheHook",
		},
		{
			"T230: every event has its message and passes the hook", "auth/lastused.go",
			"u.record(ctx, e)", "u.db.CreateEvent(ctx, e)",
			"./auth", "TestTheHookAndWebhooksSeeEveryEvent",
		},
		{
			"T148: an idle process does not ask for messages", "auth/webhooks/queue.go",
			"if !q.Idle() || !next", "if q.Idle() || !next",
			"./auth/webhooks", "TestAnIdleProcessAsksOnlyWhenAnAttemptIsDue",
		},
		{
			"a message is claimed by one process", "db/webhook.go",
			"ORDER BY next_at LIMIT 1) AND next_at <= $2", "ORDER BY next_at LIMIT 1)",
			"./auth/webhooks", "TestProcessesSendEachMessageOnce",
		},
	}
}
