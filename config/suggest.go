package config

import (
	"fmt"
	"slices"
	"strings"
)

// didYouMean returns a question with the name closest to word, or the names
// themselves where none is close and they are few.
func didYouMean(word string, names []string) string {
	best, bestDistance := "", 1+len([]rune(word))/3
	for _, n := range names {
		if d := distance(normal(word), normal(n)); d <= bestDistance && (best == "" || d < bestDistance) {
			best, bestDistance = n, d
		}
	}
	if best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	return wants(names)
}

// wants returns the names, where they are few.
func wants(names []string) string {
	if len(names) == 0 || len(names) > 12 {
		return ""
	}
	return " (want " + orList(slices.Sorted(slices.Values(names))) + ")"
}

// normal makes maxBody, max-body and MAX_BODY alike.
func normal(s string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(s))
}

func orList(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// distance is the number of letters to insert, remove, change or swap with
// their neighbour that make x into y (optimal string alignment).
func distance(x, y string) int {
	if len(x) > 64 || len(y) > 64 {
		return max(len(x), len(y))
	}
	a, b := []rune(x), []rune(y)
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := one[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(one[j]+1, row[j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}
