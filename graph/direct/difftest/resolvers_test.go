package difftest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/latchkey/latchkey/graph/direct"
	"github.com/latchkey/latchkey/graph/direct/difftest"
	"github.com/latchkey/latchkey/graph/direct/difftest/generated"
)

// A recorder records the calls of resolvers, and what they see of the operation.
type recorder struct {
	mu    sync.Mutex
	calls []string
}

type recorderKey struct{}

func record(ctx context.Context) {
	r := ctx.Value(recorderKey{}).(*recorder)
	call := seen(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
}

// seen describes what a resolver finds in its context.
func seen(ctx context.Context) string {
	fc := graphql.GetFieldContext(ctx)
	var b strings.Builder
	fmt.Fprintf(&b, "%s level %d root %s", fc.Path(), difftest.Level(ctx), graphql.GetRootFieldContext(ctx).Field.Alias)
	for _, f := range graphql.CollectFieldsCtx(ctx, []string{"Leaf", "Named", "Titled"}) {
		fmt.Fprintf(&b, " +%s:%s/%d", f.Alias, f.Name, len(f.Selections))
	}
	for ; fc != nil; fc = fc.Parent {
		fmt.Fprintf(&b, " < %s.", fc.Object)
		if fc.Field.Field != nil {
			child, err := fc.Child(ctx, graphql.CollectedField{Field: &ast.Field{Name: "name", Alias: "x"}})
			args, _ := json.Marshal(fc.Args)
			fmt.Fprintf(&b, "%s %s %t %t %t %v", fc.Field.Name, args, fc.IsMethod, fc.IsResolver, child == nil, err)
		}
		if fc.Index != nil {
			fmt.Fprintf(&b, "[%d]", *fc.Index)
		}
		fmt.Fprintf(&b, " %s", described(fc.Result))
	}
	return b.String()
}

func described(v any) string {
	switch v := v.(type) {
	case *difftest.Leaf:
		return fmt.Sprintf("*Leaf %d", v.N)
	case **difftest.Leaf:
		return fmt.Sprintf("**Leaf %d", (*v).N)
	case difftest.Leaf:
		return fmt.Sprintf("Leaf %d", v.N)
	case *difftest.Branch:
		return fmt.Sprintf("*Branch %d", v.N)
	case **difftest.Branch:
		return fmt.Sprintf("**Branch %d", (*v).N)
	case []*difftest.Leaf:
		return fmt.Sprintf("[]*Leaf %d", len(v))
	}
	return fmt.Sprintf("%T", v)
}

// resolve records a call and returns the value, or what else a number says.
func resolve[T any](ctx context.Context, n int, v T) (T, error) {
	var none T
	record(ctx)
	switch (n*7 + 13) % 20 {
	case 1:
		return none, fmt.Errorf("%d is refused", n)
	case 2:
		return none, nil
	case 3:
		return none, gqlerror.List{{Message: "one"}, {Message: "two", Extensions: map[string]any{"code": n}}}
	case 4:
		graphql.AddErrorf(ctx, "a warning about %d", n)
	case 5:
		panic(fmt.Sprintf("panic about %d", n))
	case 6:
		graphql.MarkNonNull(ctx)
		return none, nil
	case 7:
		return none, graphql.ErrorOnPath(ctx, errors.New("with a path"))
	}
	return v, nil
}

func number(n *int) int {
	if n == nil {
		return 0
	}
	return max(*n, 0)
}

func many[T any](n int, count *int, make func(int) *T) (all []*T) {
	for i := range min(number(count), 4) {
		all = append(all, make(n+i))
	}
	if len(all) > 2 && n%3 == 0 {
		all[1] = nil
	}
	return all
}

func either(n int) difftest.Either {
	if n%2 == 0 {
		return difftest.NewLeaf(n)
	}
	return difftest.NewBranch(n)
}

// A root has the resolvers of all types.
type root struct{}

func (root) Query() generated.QueryResolver       { return query{} }
func (root) Mutation() generated.MutationResolver { return mutation{} }
func (root) Leaf() generated.LeafResolver         { return leaf{} }
func (root) Branch() generated.BranchResolver     { return branch{} }

type (
	query    struct{}
	mutation struct{}
	leaf     struct{}
	branch   struct{}
)

func (mutation) Change(ctx context.Context, n int) (*difftest.Branch, error) {
	return resolve(ctx, n, difftest.NewBranch(n))
}

func (query) Branch(ctx context.Context, n *int) (*difftest.Branch, error) {
	return resolve(ctx, number(n), difftest.NewBranch(number(n)))
}

func (query) MustBranch(ctx context.Context, n int) (*difftest.Branch, error) {
	return resolve(ctx, n, difftest.NewBranch(n))
}

func (query) Branches(ctx context.Context, n int, count *int) ([]*difftest.Branch, error) {
	return resolve(ctx, n, many(n, count, difftest.NewBranch))
}

func (query) MustBranches(ctx context.Context, n int, count *int) ([]*difftest.Branch, error) {
	return resolve(ctx, n, many(n, count, difftest.NewBranch))
}

func (query) MaybeBranches(ctx context.Context, n int, count *int) ([]*difftest.Branch, error) {
	return resolve(ctx, n, many(n, count, difftest.NewBranch))
}

func (query) BranchGrid(ctx context.Context, n int) ([][]*difftest.Branch, error) {
	return resolve(ctx, n, [][]*difftest.Branch{{difftest.NewBranch(n), nil}, nil, {}})
}

func (query) Leaf(ctx context.Context, n int) (*difftest.Leaf, error) {
	return resolve(ctx, n, difftest.NewLeaf(n))
}
func (query) GuardedLeaf(ctx context.Context, n int) (*difftest.Leaf, error) {
	return resolve(ctx, n, difftest.NewLeaf(n))
}

func (query) RaisedBranch(ctx context.Context, n int) (*difftest.Branch, error) {
	return resolve(ctx, n, difftest.NewBranch(n))
}

func (query) LoweredLeaf(ctx context.Context, n int) (*difftest.Leaf, error) {
	return resolve(ctx, n, difftest.NewLeaf(n))
}

func (query) Leaves(ctx context.Context, n int, count *int) ([]*difftest.Leaf, error) {
	return resolve(ctx, n, many(n, count, difftest.NewLeaf))
}

func (query) Vault(ctx context.Context, n int) (*difftest.Vault, error) {
	return resolve(ctx, n, &difftest.Vault{Content: "x", Leaf: difftest.NewLeaf(n)})
}

func (query) Opaque(ctx context.Context, n int) (*difftest.Opaque, error) {
	return resolve(ctx, n, &difftest.Opaque{N: n})
}

func (query) Box(ctx context.Context, n int) (map[string]any, error) {
	return resolve(ctx, n, map[string]any{"width": n, "height": nil})
}

func (query) Shape(ctx context.Context, n int) (difftest.Shape, error) {
	return resolve(ctx, n, difftest.NewBranch(n).Shape)
}
func (query) Either(ctx context.Context, n int) (difftest.Either, error) {
	return resolve(ctx, n, either(n))
}

func (query) Eithers(ctx context.Context, n int, count *int) ([]difftest.Either, error) {
	var all []difftest.Either
	for i := range min(number(count), 4) {
		all = append(all, either(n+i))
	}
	return resolve(ctx, n, all)
}

func (query) Named(ctx context.Context, n int) (difftest.Named, error) {
	return resolve(ctx, n, either(n).(difftest.Named))
}
func (query) Text(ctx context.Context, n int) (*string, error) {
	return resolve(ctx, n, &difftest.NewLeaf(n).Name)
}

func (query) Number(ctx context.Context, n int) (int, error)   { return resolve(ctx, n, n) }
func (query) Checked(ctx context.Context, n int) (*int, error) { return resolve(ctx, n, &n) }
func (query) Fragile(ctx context.Context, n int) (*int, error) { return resolve(ctx, n, &n) }

func (query) Filtered(ctx context.Context, filter *difftest.Filter) (*string, error) {
	record(ctx)
	text := "none"
	if filter != nil {
		text = fmt.Sprintf("%s %d %v %t", *filter.Text, filter.N, filter.Colors, filter.Inner == nil)
	}
	return &text, nil
}

// Raw reads an input object by itself.
func (query) Raw(ctx context.Context, filter map[string]any) (*string, error) {
	record(ctx)
	var f difftest.Filter
	if err := graphql.UnmarshalNamedInputFromContext(ctx, "Filter", filter, &f); err != nil {
		return nil, err
	}
	text := fmt.Sprint(f.N)
	return &text, nil
}

func (leaf) Resolved(ctx context.Context, l *difftest.Leaf, n *int) (*string, error) {
	return resolve(ctx, l.N+number(n), &l.Name)
}

func (leaf) ResolvedMust(ctx context.Context, l *difftest.Leaf, n *int) (int, error) {
	return resolve(ctx, l.N+number(n), l.N)
}

func (leaf) ResolvedBranch(ctx context.Context, l *difftest.Leaf, n *int) (*difftest.Branch, error) {
	return resolve(ctx, l.N+number(n), difftest.NewBranch(l.N))
}

func (branch) Resolved(ctx context.Context, b *difftest.Branch, n *int) (*string, error) {
	return resolve(ctx, b.N+number(n), &b.Name)
}

func (branch) ResolvedMust(ctx context.Context, b *difftest.Branch, n *int) (int, error) {
	return resolve(ctx, b.N+number(n), b.N)
}

func (branch) ResolvedLeaf(ctx context.Context, b *difftest.Branch, n *int) (*difftest.Leaf, error) {
	return resolve(ctx, b.N+number(n), difftest.NewLeaf(b.N))
}

func (branch) ResolvedMustLeaf(ctx context.Context, b *difftest.Branch, n *int) (*difftest.Leaf, error) {
	return resolve(ctx, b.N+number(n), difftest.NewLeaf(b.N))
}

func (branch) ResolvedLeaves(ctx context.Context, b *difftest.Branch, n, count *int) ([]*difftest.Leaf, error) {
	return resolve(ctx, b.N+number(n), many(b.N, count, difftest.NewLeaf))
}

func (branch) ResolvedMustLeaves(ctx context.Context, b *difftest.Branch, n, count *int) ([]*difftest.Leaf, error) {
	return resolve(ctx, b.N+number(n), many(b.N, count, difftest.NewLeaf))
}

func (branch) ResolvedEither(ctx context.Context, b *difftest.Branch, n *int) (difftest.Either, error) {
	return resolve(ctx, b.N+number(n), either(b.N))
}

func (branch) ResolvedChecked(ctx context.Context, b *difftest.Branch, n *int) (*int, error) {
	return resolve(ctx, b.N+number(n), &b.N)
}

func (branch) ResolvedSecret(ctx context.Context, b *difftest.Branch, n *int) (*string, error) {
	return resolve(ctx, b.N+number(n), &b.Name)
}

func directives() generated.DirectiveRoot {
	raise := func(ctx context.Context, next graphql.Resolver, by int) (any, error) {
		return next(difftest.WithLevel(ctx, difftest.Level(ctx)+by))
	}
	return generated.DirectiveRoot{
		Open: func(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return next(ctx) },
		Guard: func(ctx context.Context, _ any, next graphql.Resolver, level int) (any, error) {
			if difftest.Level(ctx) < level {
				return nil, &gqlerror.Error{Message: "refused", Extensions: map[string]any{"level": level}}
			}
			return next(ctx)
		},
		Raise: func(ctx context.Context, _ any, next graphql.Resolver, by int) (any, error) {
			return raise(ctx, next, by)
		},
		Raised: func(ctx context.Context, _ any, next graphql.Resolver, by *int) (any, error) {
			return raise(ctx, next, number(by))
		},
		Lowered: func(ctx context.Context, _ any, next graphql.Resolver) (any, error) { return raise(ctx, next, -1) },
		Operation: func(ctx context.Context, _ any, next graphql.Resolver, by *int) (any, error) {
			return raise(ctx, next, number(by))
		},
		Loud: func(ctx context.Context, _ any, next graphql.Resolver) (any, error) {
			v, err := next(ctx)
			if text, ok := v.(*string); ok && text != nil {
				loud := strings.ToUpper(*text)
				return &loud, err
			}
			return v, err
		},
		Dropped: func(context.Context, any, graphql.Resolver) (any, error) { return nil, nil },
	}
}

// guards returns the guards of @guard, one for each level.
func guards() func(*ast.Directive) (*direct.Guard, bool) {
	var levels [4]*direct.Guard
	for level := range levels {
		guard := direct.Guard(func(ctx context.Context) bool { return difftest.Level(ctx) >= level })
		levels[level] = &guard
	}
	return func(d *ast.Directive) (*direct.Guard, bool) {
		switch d.Name {
		case "guard":
			return levels[d.Arguments.ForName("level").Value.Raw[0]-'0'], true
		case "open":
			return nil, true
		}
		return nil, false
	}
}
