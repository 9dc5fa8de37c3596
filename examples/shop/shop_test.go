package main

import (
	"os"
	"testing"
	"time"

	"github.com/latchkey/latchkey/db/dbtest"
	"github.com/latchkey/latchkey/test/servertest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }

const (
	place = `mutation($item: String!) { placeOrder(input: {item: $item}) { order { id } } }`
	ship  = `mutation($id: ID!) { shipOrder(input: {id: $id}) { order { shippedAt } } }`
	node  = `query($id: ID!) { node(id: $id) { ... on Order { item } } }`
)

func TestUsersSeeTheirOwnOrdersAndManagersAll(t *testing.T) {
	servertest.Each(t, options(), func(t *testing.T, s *servertest.Server) {
		ann, bob, mary := s.User("ann"), s.User("bob"), s.User("mary", "MANAGER")
		order := ann.Ask(place, "item", "tea").Want("").Text("placeOrder.order.id")
		mine := ann.Ask(`{ me { points orders { nodes { item } totalCount } } }`).Want("")
		if mine.Text("me.points") != "1" || mine.Text("me.orders.nodes") != "[map[item:a sample] map[item:tea]]" {
			t.Errorf("got %s", mine.Body)
		}
		if got := mary.Ask(`{ orders(last: 1) { nodes { id } totalCount } }`).Want(""); got.Text("orders.nodes.0.id") != order || got.Text("orders.totalCount") != "4" {
			t.Errorf("got %s", got.Body)
		}
		for _, c := range []struct {
			caller *servertest.Client
			query  string
			want   string
		}{
			{s.Anonymous(), node, "UNAUTHENTICATED MISSING"},
			{bob, node, "NOT_FOUND"},
			{ann, node, ""},
			{mary, node, ""},
			{bob, `{ orders { totalCount } }`, "FORBIDDEN"},
			{ann, ship, "FORBIDDEN"},
			{s.Anonymous(), place, "UNAUTHENTICATED MISSING"},
			{mary, ship, ""},
		} {
			c.caller.Ask(c.query, "id", order, "item", "x").Want(c.want)
		}
	})
}

func TestAGatewayFindsOrdersByTheirKeys(t *testing.T) {
	servertest.Each(t, options(), func(t *testing.T, s *servertest.Server) {
		ann, bob := s.User("ann"), s.User("bob")
		order := ann.Ask(place, "item", "tea").Want("").Text("placeOrder.order.id")
		keys := []any{map[string]any{"__typename": "Order", "id": order}, map[string]any{"__typename": "User", "id": ann.UserID}}
		const query = `query($keys: [_Any!]!) { _entities(representations: $keys) { ... on Order { item } ... on User { points } } }`
		for caller, want := range map[*servertest.Client]string{ann: "[map[item:tea] map[points:1]]", bob: "[<nil> <nil>]", s.Anonymous(): "<nil>"} {
			if got := caller.Ask(query, "keys", keys); got.Text("_entities") != want {
				t.Errorf("got %s, want %s", got.Body, want)
			}
		}
	})
}

func TestAChangedOrderReachesSubscribersAtEveryProcess(t *testing.T) {
	servertest.Each(t, options(), func(t *testing.T, s *servertest.Server) {
		ann, bob, other := s.User("ann"), s.User("bob"), s.Replica()
		const subscription = `subscription { orderChanged { item shippedAt } }`
		anns, bobs := ann.At(other).Subscribe(subscription), bob.At(other).Subscribe(subscription)
		ann.Ask(place, "item", "tea").Want("")
		bob.Ask(place, "item", "coffee").Want("")
		for results, want := range map[<-chan *servertest.Reply]string{anns: "tea", bobs: "coffee"} {
			select {
			case got := <-results:
				if got == nil || got.Text("orderChanged.item") != want {
					t.Errorf("got %v, want %s", got, want)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s was not heard of", want)
			}
		}
	})
}

func TestOpenOrdersAreLimited(t *testing.T) {
	servertest.Each(t, options(), func(t *testing.T, s *servertest.Server) {
		ann := s.User("ann")
		for range 9 { // and the sample
			ann.Ask(place, "item", "tea").Want("")
		}
		refused := ann.Ask(place, "item", "tea").Want("TOO_MANY_OPEN_ORDERS")
		if refused.Errors[0].Extensions["limit"] != 10.0 {
			t.Errorf("got %s", refused.Body)
		}
		if points := ann.Ask(`{ me { points } }`).Text("me.points"); points != "9" {
			t.Errorf("a refused order left %s points", points)
		}
		s.Clock.Advance(time.Hour)
		ann.Ask(place, "item", "tea").Want("UNAUTHENTICATED EXPIRED")
	})
}
