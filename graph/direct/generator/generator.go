// Package generator is the gqlgen plugin that generates what package direct calls.
package generator

import (
	_ "embed"
	"errors"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed direct.gotpl
var text string

// A Plugin is the plugin of gqlgen's generator.
type Plugin struct{}

// Name implements gqlgen's plugin.Plugin.
func (Plugin) Name() string { return "direct" }

// GenerateCode implements gqlgen's plugin.CodeGenerator. It writes nothing for configurations that it does not know: then
// gqlgen executes everything.
func (Plugin) GenerateCode(data *codegen.Data) error {
	name := filepath.Join(data.Config.Exec.Dir(), "direct.generated.go")
	if data.Config.UseFunctionSyntaxForExecutionContext || data.Config.OmitPanicHandler {
		if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
			return err //nolint:wrapcheck // it names the file
		}
		return nil
	}
	return templates.Render(templates.Options{
		PackageName:     data.Config.Exec.Package,
		Filename:        name,
		Template:        text,
		Data:            data,
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
		Funcs: map[string]any{
			"isPlain": isPlain, "isResolved": isResolved, "isObject": isObject, "objects": objects, "method": method,
		},
	})
}

// objects returns the object types of which fields are written or resolved.
func objects(data *codegen.Data) (all []*codegen.Object) {
	unknown := unknownObjects(data)
	for _, o := range data.Objects {
		if o != data.MutationRoot && o != data.SubscriptionRoot && !o.BuiltIn && !unknown[o.Name] {
			all = append(all, o)
		}
	}
	return all
}

// unknownObjects returns the names of the object types that only gqlgen can write: those that are maps or interfaces in Go,
// or write themselves, and those with fields that are resolved for all items of a list at once.
func unknownObjects(data *codegen.Data) map[string]bool {
	unknown := map[string]bool{}
	for _, t := range data.ReferencedTypes {
		if t.IsMarshaler || t.Marshaler != nil {
			unknown[t.Definition.Name] = true
		}
	}
	for _, o := range data.Objects {
		if o.IsMap() || !o.Root && types.IsInterface(o.Type) || slices.ContainsFunc(o.Fields, (*codegen.Field).IsBatch) {
			unknown[o.Name] = true
		}
	}
	return unknown
}

// isResolved reports whether gqlgen resolves a field concurrently with others.
func isResolved(f *codegen.Field) bool { return f.IsConcurrent() && !f.IsReserved() && !f.IsBatch() }

// isPlain reports whether a field needs nothing but its object.
func isPlain(f *codegen.Field) bool {
	read := f.IsVariable() || f.IsMethod() && !f.MethodHasContext && f.NoErr && !f.VOkFunc
	return read && !f.IsResolver && !f.IsReserved() && !f.IsBatch() && !f.HasHaser && !f.Stream && len(f.Args) == 0 && isWritable(f.TypeReference)
}

// isObject reports whether a field is an object or a list of objects.
func isObject(f *codegen.Field) bool { return f.TypeReference.Definition.Kind == ast.Object }

// isWritable reports whether the template writes values of a type.
func isWritable(t *config.TypeReference) bool {
	switch {
	case t == nil || t.IsContext || t.IsPtrToSlice() || t.IsPtrToPtr() || t.IsPtrToIntf() || t.IsOmittable || t.HasEnumValues() || t.IsRoot:
		return false
	case t.IsSlice():
		return isWritable(t.Elem())
	case t.Definition.Kind == ast.Object:
		return !t.IsMarshaler && t.Marshaler == nil && (t.IsPtr() || t.IsStruct()) && !t.IsMap()
	case t.Definition.Kind == ast.Scalar, t.Definition.Kind == ast.Enum:
		return t.IsMarshaler && t.IsNilable() == t.IsPtr() || t.Marshaler != nil && !(t.IsTargetNilable() && !t.IsNilable())
	}
	return false
}

// method names the method of direct.Writer that writes the same as a marshaler of GraphQL's own scalars.
func method(t *config.TypeReference) string {
	const strict = "github.com/latchkey/latchkey/graph/scalar"
	if t.Marshaler == nil || t.Marshaler.Pkg().Path() != strict && t.Marshaler.Pkg().Path() != "github.com/99designs/gqlgen/graphql" {
		return ""
	}
	return map[string]string{"MarshalString": "String", "MarshalID": "String", "MarshalInt": "Int", "MarshalBoolean": "Boolean"}[t.Marshaler.Name()]
}
