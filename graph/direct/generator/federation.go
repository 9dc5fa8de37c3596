package generator

import (
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/templates"
)

// Federation is the plugin that gives the root fields of Apollo Federation, _entities and _service, resolvers like other
// fields. gqlgen alone expects methods of its own federation plugin there, which makes access directives without effect. It
// must be the first plugin (api.PrependPlugin), before the one that writes resolvers.
type Federation struct{}

// Name implements gqlgen's plugin.Plugin.
func (Federation) Name() string { return "latchkey federation" }

// GenerateCode implements gqlgen's plugin.CodeGenerator.
func (Federation) GenerateCode(data *codegen.Data) error {
	for _, field := range data.QueryRoot.Fields {
		if field.Name == "_entities" || field.Name == "_service" {
			field.IsResolver, field.MethodHasContext, field.NoErr = true, false, false
			field.GoFieldType, field.GoReceiverName, field.GoFieldName = codegen.GoFieldUndefined, "", templates.ToGo(field.Name)
		}
	}
	return nil
}
