package keys

import (
	"math"
	"strings"

	"github.com/latchkey/latchkey/auth/passwords"
)

// minSecretBits is the least work to guess a secret that is accepted. The owner of a refresh token can test guesses
// offline, at billions a second.
const minSecretBits = 96

// Guessable reports whether the secret consists of so many repetitions, sequences and common passwords that it could
// be guessed offline. It does not recognize words of a language: a secret that passes must still have been generated.
func (s Secret) Guessable() bool {
	text := *s.text
	return guessBits(text[:min(len(text), 128)]) < minSecretBits // the rest does not matter
}

// guessBits estimates the work to guess a text, in bits. It finds the cheapest way to write the text as characters,
// sequences, repetitions of earlier parts, and common passwords.
func guessBits(text string) float64 {
	perChar := math.Log2(alphabet(text))
	bits := make([]float64, len(text)+1) // of the first n bytes
	for end := 1; end <= len(text); end++ {
		bits[end] = bits[end-1] + perChar
		for start := range end - 2 {
			part := text[start:end]
			if cost := patternBits(text[:start], part); bits[start]+cost < bits[end] {
				bits[end] = bits[start] + cost
			}
		}
	}
	return bits[len(text)]
}

// patternBits is the work to guess a part that follows before, if it has a pattern; otherwise infinite.
func patternBits(before, part string) float64 {
	length := math.Log2(float64(len(part)))
	switch {
	case isSequence(part):
		return 8 + length
	case strings.Contains(strings.ToLower(before), strings.ToLower(part)):
		return math.Log2(float64(len(before))) + length + 2
	case passwords.Common(part):
		return 17 // there are about 2^17 of them, in different cases
	}
	return math.Inf(1)
}

// isSequence reports whether all bytes differ from the byte before by the same step of at most one: aaaa, 1234, dcba.
func isSequence(part string) bool {
	step := int(part[1]) - int(part[0])
	for i := 1; i < len(part); i++ {
		if int(part[i])-int(part[i-1]) != step {
			return false
		}
	}
	return -1 <= step && step <= 1
}

// alphabet is the size of the smallest set of characters that the text seems to be chosen from.
func alphabet(text string) float64 {
	size := 0
	for _, class := range []struct{ narrow, wide string }{
		{"0123456789", "0123456789"},
		{"abcdef", "abcdefghijklmnopqrstuvwxyz"},
		{"ABCDEF", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	} {
		switch {
		case !strings.ContainsAny(text, class.wide):
		case strings.ContainsAny(text, strings.TrimPrefix(class.wide, class.narrow)):
			size += len(class.wide)
		default:
			size += len(class.narrow)
		}
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > 'z' || r > '9' && r < 'A' || r > 'Z' && r < 'a' }) {
		size += 32
	}
	return float64(size)
}
