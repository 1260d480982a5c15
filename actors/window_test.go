package actors

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestWindowIsAListOfTheNewest holds the window against a plain list.
func TestWindowIsAListOfTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 200).Draw(t, "size")
		var w window
		var model []mark
		now := uint32(1000)
		has := func(m mark) bool {
			for _, o := range model {
				if o.same(m) {
					return true
				}
			}
			return false
		}
		id := rapid.Custom(func(t *rapid.T) mark {
			m := markOf(fmt.Sprint(rapid.IntRange(0, 400).Draw(t, "id")))
			m.hash &^= 0xff0 // few homes: probes run into each other, and far
			return m
		})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				m := id.Draw(t, "mark")
				now += uint32(rapid.IntRange(0, 3).Draw(t, "later"))
				m.at = now
				if w.has(m) {
					return
				}
				w.add(m, size)
				model = append(model, m)
				model = model[max(0, len(model)-size):]
			},
			"expire": func(t *rapid.T) {
				since := now - uint32(rapid.IntRange(0, 60).Draw(t, "age"))
				w.expire(since)
				for len(model) > 0 && model[0].at < since {
					model = model[1:]
				}
			},
			"": func(t *rapid.T) {
				if int(w.len) != len(model) {
					t.Fatalf("%d marks, want %d", w.len, len(model))
				}
				m := id.Draw(t, "asked")
				if w.has(m) != has(m) {
					t.Fatalf("has(%v) = %v", m, w.has(m))
				}
				for _, m := range model {
					if !w.has(m) {
						t.Fatalf("%v is missing", m)
					}
				}
				if len(model) > 0 && w.oldest() != model[0].at {
					t.Fatalf("oldest is %d, want %d", w.oldest(), model[0].at)
				}
			},
		})
	})
}

func BenchmarkWindow(b *testing.B) {
	for _, size := range []int{16, 64, 4096} {
		b.Run(fmt.Sprintf("ids=%d", size), func(b *testing.B) {
			marks := make([]mark, 3*size)
			for i := range marks {
				marks[i] = markOf(fmt.Sprint(i))
			}
			var w window
			b.ReportAllocs()
			for i := range b.N {
				if m := marks[i%len(marks)]; !w.has(m) {
					w.add(m, size)
				}
			}
		})
	}
}
