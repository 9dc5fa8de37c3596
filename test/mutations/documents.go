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
			"sum := sha256.Sum256([]byte(params.Query)); !strings", "sum := sha256.Sum256([]byte(params.Query)); hash == \"\" && !strings",
			"./test/threats", "TestT111_",
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
