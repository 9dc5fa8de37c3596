package keys_test

import (
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth/keys"
)

func mustSecrets(text string) keys.Secrets {
	all, err := keys.ParseSecrets(text)
	if err != nil {
		panic(err)
	}
	return all
}

// T55.
func TestASecretMustBeLong(t *testing.T) {
	good := strings.Repeat("ab", 16)
	for text, want := range map[string]int{
		good: 1, good + "," + good + "c": 2, " " + good + " , " + good + "\n": 2, "": 0, "short": 0, good[1:]: 0, good + ",": 0, good + ",short": 0, "," + good: 0, strings.Repeat("a", 64): 0, strings.Repeat(" ", 64): 0,
	} {
		all, err := keys.ParseSecrets(text)
		if len(all) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d secrets, %v; want %d", text, len(all), err, want)
		}
		if err != nil && len(text) > 0 && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v repeats it", text, err)
		}
	}
	if all, err := keys.ParseSecrets(keys.GenerateSecret()); len(all) != 1 || err != nil {
		t.Errorf("a generated secret: %v", err)
	}
}
