package passwords

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// If this fails, users either can choose a password that is guessed at the first
// attempts, or cannot choose a good one.
func TestCommon(t *testing.T) {
	for _, test := range []struct {
		password string
		want     bool
	}{
		{"password", true},
		{"password1", true},
		{"12345678", true},
		{"1234567890", true},
		{"qwertyuiop", true},
		{"iloveyou1", true},
		{"p@ssw0rd", true},
		{"1q2w3e4r5t", true},
		{"sunshine1", true},
		{"Password1", true},
		{"QWERTYUIOP", true},
		{"ILoveYou1", true},
		{"", false},
		{"\n", false},
		{"password\npassword1", false},
		{"password1\n", false},
		{" password1", false},
		{"correct horse battery staple", false},
		{"vT9#qLw2!xRz", false},
		{"зелёный-чайник-47", false},
		{"\xff\xfe broken utf-8", false},
		{strings.Repeat("~", 1000), false},
	} {
		if got := Common(test.password); got != test.want {
			t.Errorf("Common(%q) = %v, want %v", test.password, got, test.want)
		}
	}
}

// If this fails, some passwords on the list are accepted because the search
// misses them.
// T21, T27.
func TestEveryEntryIsFound(t *testing.T) {
	for entry := range strings.Lines(list) {
		entry = strings.TrimSuffix(entry, "\n")
		if !Common(entry) || !Common(strings.ToUpper(entry)) {
			t.Errorf("%q is on the list but not found", entry)
		}
		if Common(entry + "~no~") {
			t.Errorf("%q is found but not on the list", entry+"~no~")
		}
	}
}

// If this fails, an update has shortened the list, or left it in an order or a
// case in which the search does not find common passwords.
func TestListIsLongSortedAndLowerCase(t *testing.T) {
	text, ended := strings.CutSuffix(list, "\n")
	entries := strings.Split(text, "\n")
	if !ended {
		t.Error("the last line does not end")
	}
	if len(entries) < 10_000 {
		t.Errorf("%d entries, want at least 10000", len(entries))
	}
	if !slices.IsSorted(entries) || len(slices.Compact(slices.Clone(entries))) != len(entries) {
		t.Error("not sorted, or an entry occurs twice")
	}
	for _, entry := range entries {
		if entry != strings.ToLower(strings.TrimSpace(entry)) || utf8.RuneCountInString(entry) < 8 {
			t.Errorf("%q is not lower-case, has space around it or is too short", entry)
		}
	}
}

// If this becomes slow, so does every registration and change of password.
func BenchmarkCommon(b *testing.B) {
	for name, password := range map[string]string{"found": "Iloveyou1", "not found": "vT9#qLw2!xRz"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Common(password)
			}
		})
	}
}
