package graph

import (
	"context"
	"fmt"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"example.com/blog/blog"
	"example.com/blog/graph/model"
)

// Resolver serves as dependency injection for your app, add any dependencies you require here.
type Resolver struct {
	Store *blog.Store
}

// Schema joins the resolvers and the directives.
func (r *Resolver) Schema() graphql.ExecutableSchema {
	return NewExecutableSchema(Config{Resolvers: r, Directives: DirectiveRoot{IsAuthenticated: blog.IsAuthenticated, HasRole: blog.HasRole}})
}

// posts is a page of posts; a cursor is the ID of the last one on the page before.
func (r *Resolver) posts(ctx context.Context, first int, after *string) (*model.PostConnection, error) {
	last := 0
	if after != nil {
		var err error
		if last, err = strconv.Atoi(*after); err != nil {
			return nil, fmt.Errorf("%s is no cursor", *after)
		}
	}
	total, err := r.Store.CountPosts(ctx)
	if err != nil {
		return nil, err
	}
	posts, err := r.Store.Posts(ctx, last, first+1)
	if err != nil {
		return nil, err
	}
	page := &model.PostConnection{Nodes: posts, PageInfo: &model.PageInfo{}, TotalCount: int32(total)}
	if len(posts) > first {
		page.Nodes, page.PageInfo.HasNextPage = posts[:first], true
	}
	if n := len(page.Nodes); n > 0 {
		cursor := strconv.Itoa(page.Nodes[n-1].ID)
		page.PageInfo.EndCursor = &cursor
	}
	return page, nil
}
