package server

import (
	"os"
	"testing"

	"github.com/latchkey/latchkey/db/dbtest"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Run(m)) }
