package main

import (
	"reflect"
	"testing"

	"github.com/latchkey/latchkey/graph/include"
)

func TestFlagsAreOptions(t *testing.T) {
	got, err := options([]string{"-rename", "User=Account,Node=AccountNode", "-merge", "PageInfo,Role", "-omit", "Query.me", "-strict-scalars", "-resolver", "r.Accounts"})
	want := include.Options{
		Rename: map[string]string{"User": "Account", "Node": "AccountNode"}, Merge: []string{"PageInfo", "Role"}, Omit: []string{"Query.me"},
		StrictScalars: true, Resolver: "r.Accounts",
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, args := range [][]string{{"-rename", "User"}, {"-rename", "User=,A=B"}, {"-nothing"}, {"User=Account"}} {
		if _, err := options(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
