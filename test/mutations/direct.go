package main

// What is written past gqlgen's field machinery.
func direct() []mutation {
	const (
		unit = "./graph/direct"
		diff = "./graph/direct/difftest"
		same = "TestTheseDocuments|TestConditions|TestDirectAndGqlgen"
	)
	return []mutation{
		{
			"T71 direct: guards are asked", "graph/direct/extension.go",
			"return set.allowed(ctx) && object.Value(w, set, v)", "return ctx != nil && object.Value(w, set, v)",
			diff, same,
		},
		{
			"T71 direct: guards of fields count", "graph/direct/compile.go",
			"s.require(guards)", "s.require(guards[:0])",
			diff, same,
		},
		{
			"T71 direct: guards of nested sets count", "graph/direct/compile.go",
			"s.require(one.below.guards)", "s.require(nil)",
			diff, same,
		},
		{
			"T71 direct: a directive that is not known leaves the set to gqlgen", "graph/direct/compile.go",
			"g, known := c.guards(d)\n\t\tif !known {", "g, known := c.guards(d)\n\t\tif !known && g != nil {",
			diff, same,
		},
		{
			"T71 direct: a directive that is not in the schema is not known", "graph/direct/compile.go",
			"if all.ForName(name) == nil {", "if name == \"\" {",
			unit, "TestADirectiveThatIsNotInTheSchema",
		},
		{
			"T71 direct: a type's directives count", "graph/direct/compile.go",
			"all = append(slices.Clip(all), t.Directives...)", "all = append(slices.Clip(all), t.Directives[:0]...)",
			diff, same,
		},
		{
			"T71 direct: directives of the document leave the value to gqlgen", "graph/direct/compile.go",
			"!known || !conditionsOnly(f.Directives) {", "!known {",
			diff, same,
		},
		{
			"T71 direct: directives of the document leave the set to gqlgen", "graph/direct/compile.go",
			"!known || !conditionsOnly(f.Directives):", "!known:",
			diff, same,
		},
		{
			"direct: directives of the operation leave it to gqlgen", "graph/direct/query.go",
			"o.Operation != ast.Query || len(o.Directives) > 0", "o.Operation != ast.Query",
			diff, same,
		},
		{
			"direct: a null that is not allowed leaves the value to gqlgen", "graph/direct/writer.go",
			"return !nonNull", "return nonNull || !nonNull",
			diff, same,
		},
		{
			"direct: the null of a resolver spreads", "graph/direct/resolvers.go",
			"c.invalid(c.result) && !p.nullify(c.span)", "c.invalid(c.result) && c.at < 0",
			diff, same,
		},
		{
			"direct: the null of a resolver spreads no further than needed", "graph/direct/resolvers.go",
			"nonNull: p.typ.NonNull}", "nonNull: true}",
			diff, same,
		},
		{
			"direct: a null that is marked at run time spreads", "graph/direct/resolvers.go",
			" || result == graphql.RequiredNull", "",
			diff, same,
		},
		{
			"direct: the outermost null counts", "graph/direct/resolvers.go",
			"if p.spans[i].null {", "if p.spans[i].null && found == nil {",
			diff, same,
		},
		{
			"direct: the null of a root field is that of the response", "graph/direct/query.go",
			"c.invalid(c.result) {", "c.result == nil {",
			diff, same,
		},
		{
			"direct: a resolver runs once", "graph/direct/resolvers.go",
			"p.calls[0].run(oc, p.ec)\n", "p.calls[0].run(oc, p.ec)\n\tp.calls[0].run(oc, p.ec)\n",
			diff, same,
		},
		{
			"direct: resolvers run only after the rest is written", "graph/direct/resolvers.go",
			"calls = append(p.calls, call{selection: f, ctx: ctx, obj: obj, at: len(w.b), span: p.span})",
			"calls = append(p.calls, call{selection: f, ctx: ctx, obj: obj, at: len(w.b), span: p.span})\n\t\t\tf.resolve(ctx, p.ec, *f.field, obj)",
			diff, same,
		},
		{
			"direct: the path of resolvers has the index of a list", "graph/direct/resolvers.go",
			"&graphql.FieldContext{Index: &i, ", "&graphql.FieldContext{",
			diff, same,
		},
		{
			"direct: resolvers find the object of the field above", "graph/direct/resolvers.go",
			"fc.Result = result", "fc.Result = nil",
			diff, same,
		},
		{
			"direct: resolvers find a value as a value", "graph/direct/set.go",
			"w.pending.object(w, s, v, *v)", "w.pending.object(w, s, v, v)",
			diff, same,
		},
		{
			"direct: a panic leaves the value to gqlgen", "graph/direct/extension.go",
			"if recover() != nil {", "if ok {",
			diff, same,
		},
		{
			"direct: control characters are escaped", "graph/direct/writer.go",
			"c >= ' ' && ", "c >= 0x1f && ",
			diff, same,
		},
		{
			"direct: fragments of other types do not count", "graph/direct/compile.go",
			"graphql.CollectFields(oc, selections, object.Implementors)", "graphql.CollectFields(oc, selections, nil)",
			diff, same,
		},
		{
			"direct: an alias of two fields leaves the set to gqlgen", "graph/direct/compile.go",
			"if aliases[f.Alias] || !c.add(", "if !c.add(",
			diff, same,
		},
		{
			"direct: conditions select the plan", "graph/direct/plans.go",
			"planKey{node, object, variables}", "planKey{node, object, variables & 0}",
			diff, same,
		},
		{
			"direct: a plan is that of the same selections", "graph/direct/plans.go",
			"if ok && slices.Equal(known.selections, selections) {", "if ok {",
			diff, same,
		},
		{
			"direct: gqlgen reports a condition that is null", "graph/direct/plans.go",
			"if given && !isBool {", "if given && !isBool && value != nil {",
			diff, same,
		},
		{
			"direct: gqlgen executes what has @defer", "graph/direct/plans.go",
			"case d.defers || !ok:", "case !ok:",
			diff, same,
		},
		{
			"T111 direct: plans are bounded", "graph/direct/plans.go",
			"!ok && p.size.Load() < maxPlanned {", "!ok {",
			unit, "TestRememberedSets",
		},
		{
			"T111 direct: the plans of a document are bounded", "graph/direct/plans.go",
			" || d.size >= maxPlannedOfDocument {", " {",
			unit, "TestRememberedSets",
		},
		{
			"T111 direct: nothing is remembered of a forgotten document", "graph/direct/plans.go",
			"taken || d.forgotten || ", "taken || ",
			unit, "TestNothingIsRemembered",
		},
		{
			"direct: a result may be written twice", "graph/direct/writer.go",
			"w.pending.join(to, w.b)\n\t}\n", "w.pending.join(to, w.b)\n\t}\n\tw.release()\n",
			diff, "TestAResultMayBeWrittenTwice",
		},
		{
			"T111 direct: a buffer is given back once", "graph/direct/writer.go",
			"w.b, w.pending = nil, nil", "w.pending = nil",
			unit, "TestABuffer",
		},
		{
			"T111 direct: large buffers are not kept", "graph/direct/writer.go",
			" && cap(b) <= largestPooled {", " {",
			unit, "TestLargeBuffers",
		},
		{
			"T111: a document that is parsed twice stays", "graph/documents.go",
			"if c.documents.Contains(text) { // a request", "if c.documents == nil { // a request",
			"./graph", "TestADocumentThatIsAddedTwice",
		},
	}
}
