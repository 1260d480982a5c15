package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand replaces ${NAME} and ${NAME:-default} in s, where the default also
// stands in for an empty variable, and $${ by ${. It reports whether any
// variable was used. What a variable holds is never expanded again.
func expand(s string, env func(string) (string, bool)) (string, bool, error) {
	var out strings.Builder
	used := false
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			out.WriteString(s)
			return out.String(), used, nil
		}
		if i > 0 && s[i-1] == '$' {
			out.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		out.WriteString(s[:i])
		body, rest, ok := strings.Cut(s[i+2:], "}")
		if !ok {
			return "", used, errors.New("${ without its }; write $${ for a literal one")
		}
		name, fallback, hasFallback := strings.Cut(body, ":-")
		if !envName(name) {
			return "", used, errors.New("not the name of an environment variable between ${ and }; write $${ for a literal one")
		}
		value, set := env(name)
		switch {
		case hasFallback && value == "":
			value = fallback
		case !set:
			return "", used, fmt.Errorf("environment variable %s is not set; ${%s:-default} gives it a default", name, name)
		}
		out.WriteString(value)
		used, s = true, rest
	}
}

func envName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}
