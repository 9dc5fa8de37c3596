package db_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey/latchkey/db"
)

func TestATimeComesBackInUTCWithItsMicroseconds(t *testing.T) {
	zone := time.FixedZone("", 5*3600+1800)
	each(t, func(t *testing.T, d *db.DB) {
		for _, at := range []time.Time{
			noon.Time, noon.In(zone), time.Date(2026, 3, 29, 2, 30, 0, 999999999, zone), time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC),
			time.Date(2000, 2, 29, 0, 0, 0, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
		} {
			u := addUser(t, d, db.NewID("u"), func(u *db.User) { u.CreatedAt = db.Time{Time: at} })
			got := must[*db.User](t)(d.UserByID(t.Context(), u.ID))
			if want := at.UTC().Truncate(time.Microsecond); got.CreatedAt.Time != want {
				t.Errorf("got %v, want %v", got.CreatedAt.Time, want)
			}
			if got.LastLoginAt != nil {
				t.Errorf("no time became %v", got.LastLoginAt)
			}
		}
	})
}

// SQLite compares times as text.
func TestTimesSortAsTheirTexts(t *testing.T) {
	var times []db.Time
	for range 1000 {
		at := time.Unix(rand.Int64N(200e9)-60e9, rand.Int64N(1e9))
		times = append(times, db.TimeOf(at), db.TimeOf(at.Add(time.Microsecond)), db.TimeOf(at.Truncate(time.Second)))
	}
	slices.SortFunc(times, func(a, b db.Time) int { return a.Compare(b.Time) })
	var last string
	for _, at := range times {
		v, err := at.Value()
		if text, ok := v.(string); !ok || err != nil || text < last {
			t.Fatalf("%v sorts before %v: %v", v, last, err)
		} else {
			last = text
		}
	}
}

func TestATimeIsReadFromWhatDriversGive(t *testing.T) {
	for _, src := range []any{noon.Time, noon.In(time.FixedZone("", -3600)), "2026-01-31T12:00:00.123456Z", []byte("2026-01-31T13:00:00.123456789+01:00")} {
		var got db.Time
		if err := got.Scan(src); err != nil || got != noon {
			t.Errorf("%v: got %v, %v", src, got, err)
		}
	}
	var byHand db.Time // as SQLite's CURRENT_TIMESTAMP has it
	if err := byHand.Scan("2026-01-31 12:00:00"); err != nil || byHand != db.TimeOf(noon.Truncate(time.Second)) {
		t.Errorf("CURRENT_TIMESTAMP: got %v, %v", byHand, err)
	}
	for _, src := range []any{nil, 1, "", "2026-01-31", "2026-01-31 25:00:00"} {
		if err := new(db.Time).Scan(src); err == nil {
			t.Errorf("%v is no time", src)
		}
	}
}

// uuidOf decodes a TypeID's suffix as specified (version 0.3, "UUID suffix"), by arithmetic.
func uuidOf(suffix string) (id uuid.UUID) {
	n := new(big.Int)
	for _, c := range suffix {
		n.Lsh(n, 5).Add(n, big.NewInt(int64(strings.IndexRune("0123456789abcdefghjkmnpqrstvwxyz", c))))
	}
	n.FillBytes(id[:])
	return id
}

// T78.
func TestAnIDIsATypeIDOfNow(t *testing.T) {
	for suffix, want := range map[string]string{ // from the specification's valid.json
		"00000000000000000000000000": "00000000-0000-0000-0000-000000000000", "00000000000000000000000001": "00000000-0000-0000-0000-000000000001",
		"0000000000000000000000000g": "00000000-0000-0000-0000-000000000010", "00000000000000000000000010": "00000000-0000-0000-0000-000000000020",
		"7zzzzzzzzzzzzzzzzzzzzzzzzz": "ffffffff-ffff-ffff-ffff-ffffffffffff", "0123456789abcdefghjkmnpqrs": "0110c853-1d09-52d8-d73e-1194e95b5f19",
		"01h2xcejqtf2nbrexx3vqjhp41": "0188bac7-4afa-78aa-bc3b-bd1eef28d881",
	} {
		if got := uuidOf(suffix).String(); got != want {
			t.Fatalf("the test reads %s as %s, want %s", suffix, got, want)
		}
		if err := db.CheckID(db.UserID, "user_"+suffix); err != nil {
			t.Errorf("%s: %v", suffix, err)
		}
	}
	for range 1000 {
		start := time.Now().Add(-time.Millisecond)
		id, _ := strings.CutPrefix(db.NewID(db.UserID), "user_")
		u := uuidOf(id)
		seconds, nanos := u.Time().UnixTime()
		if at := time.Unix(seconds, nanos); u.Version() != 7 || u.Variant() != uuid.RFC4122 || at.Before(start) || at.After(time.Now().Add(time.Second)) {
			t.Fatalf("%s is %s: version %d, variant %v, of %v", id, u, u.Version(), u.Variant(), at)
		}
	}
}

// Lists are in the order of IDs: oldest first.
// T78.
func TestIDsAreUniqueAndSortByTheTimeTheyWereMade(t *testing.T) {
	const makers, each = 8, 5000
	var made [makers][]string
	parallel(makers, func(i int) error {
		for range each {
			made[i] = append(made[i], db.NewID(db.SessionID))
		}
		return nil
	})
	seen := map[string]bool{}
	for _, ids := range made {
		if !slices.IsSorted(ids) {
			t.Error("later IDs sort before earlier ones")
		}
		for _, id := range ids {
			if seen[id] || db.CheckID(db.SessionID, id) != nil || db.KindOf(id) != db.SessionID {
				t.Fatalf("%s: made twice or not valid", id)
			}
			seen[id] = true
		}
	}
}

// Two spellings of one ID would be two entries for one object in a client's cache.
func TestAnIDHasOneSpelling(t *testing.T) {
	id := db.NewID(db.UserID)
	for _, other := range []string{
		"", "user", "user_", id + " ", " " + id, id + "\n", id + "0", id[:len(id)-1], strings.ToUpper(id), "user_" + strings.ToUpper(id[5:]), "USER" + id[4:], "user" + id[5:],
		"user__" + id[5:], "user-" + id[5:], "session" + id[4:], id[:len(id)-1] + "i", id[:len(id)-1] + "l", id[:len(id)-1] + "o", id[:len(id)-1] + "u",
		id[:len(id)-1] + "-", "user_8" + id[6:], "user_z" + id[6:], "us\u0435r" + id[4:], id[:len(id)-2] + "é", "user_" + strings.Repeat("0", 25) + "\x00", uuidOf(id[5:]).String(),
	} {
		if err := db.CheckID(db.UserID, other); !errors.Is(err, db.ErrBadID) {
			t.Errorf("%q passes: %v", other, err)
		}
	}
	for text, want := range map[string]string{id: "user", "": "", "_" + id[5:]: "", "x": "", "user": ""} {
		if got := db.KindOf(text); got != want {
			t.Errorf("kind of %q: %q, want %q", text, got, want)
		}
	}
}
