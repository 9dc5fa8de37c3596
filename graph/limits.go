package graph

import (
	"cmp"
	"time"
)

// Limits limit a single request. A zero field takes its value from DefaultLimits. The tags make each field a setting
// of the server; the help says what a higher value costs.
type Limits struct {
	Body     int64         `env:"BODY" default:"1048576" help:"Bytes of a request's body. Each request in flight may hold as much memory."`
	Query    int           `env:"QUERY" default:"65536" help:"Bytes of a GraphQL document. Parsing takes time and memory for each."`
	Tokens   int           `env:"TOKENS" default:"2500" help:"Lexical tokens of a document. Validation takes time for each, up to 40 times."`
	Duration time.Duration `env:"DURATION" default:"10s" help:"How long an operation may take. Slow ones hold connections of the database."`
	Cost     CostLimits    `embed:""`
	Socket   SocketLimits  `embed:"" prefix:"socket-" envprefix:"SOCKET_"`
}

// DefaultLimits are enough for the screens of an application and for GraphiQL's introspection.
var DefaultLimits = Limits{
	Body: 1 << 20, Query: 64 << 10, Tokens: 2500, Duration: 10 * time.Second, Cost: DefaultCostLimits, Socket: DefaultSocketLimits,
}

// orDefault fills in the zero values.
func (l Limits) orDefault() Limits {
	d := DefaultLimits
	return Limits{
		Body: cmp.Or(l.Body, d.Body), Query: cmp.Or(l.Query, d.Query), Tokens: cmp.Or(l.Tokens, d.Tokens), Duration: cmp.Or(l.Duration, d.Duration),
		Cost: l.Cost.orDefault(), Socket: l.Socket.orDefault(),
	}
}

const maxErrors = 10 // of one response
