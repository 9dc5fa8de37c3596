package token

import "strings"

// IDAlphabet is Crockford's base 32 in lower case. It preserves the order of the encoded bytes.
const IDAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// IsID reports whether the text is an ID of the kind: the kind, "_", and 128 bits in 26 characters (TypeID 0.3).
func IsID(kind, text string) bool {
	suffix, ok := strings.CutPrefix(text, kind+"_")
	return ok && len(suffix) == 26 && suffix[0] <= '7' && strings.Trim(suffix, IDAlphabet) == ""
}
