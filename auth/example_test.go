package auth_test

import (
	"context"
	"fmt"
	"log"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// A program adds scopes, and roles that grant them. ADMIN has all.
func ExampleNewRights() {
	rights, err := auth.NewRights(
		[]auth.Scope{{Name: "orders:read", Description: "See everyone's orders."}},
		map[db.Role][]string{"MANAGER": {"orders:read", "users:read"}},
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(rights.Roles())
	fmt.Println(rights.Granted([]db.Role{auth.RoleUser, "MANAGER"}))
	fmt.Println(rights.Granted([]db.Role{auth.RoleAdmin}))
	// Output:
	// [ADMIN MANAGER USER]
	// orders:read users:read
	// audit:read orders:read tokens:introspect users:read users:write
}

// A resolver asks who is calling; directives have checked what the field requires.
func ExampleViewerFrom() {
	mayRead := func(ctx context.Context, ownerID string) bool {
		v := auth.ViewerFrom(ctx)
		return v.ID() == ownerID || v.Require([]string{"orders:read"}) == nil
	}
	ann := auth.WithViewer(context.Background(), auth.Viewer{User: &db.User{ID: "user_ann"}})
	fmt.Println(mayRead(ann, "user_ann"), mayRead(ann, "user_bob"), mayRead(context.Background(), "user_bob"))
	// Output: true false false
}
