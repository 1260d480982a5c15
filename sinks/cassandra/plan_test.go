package cassandra

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// rowsOf makes rows from a script: a word a row, such as a1 for user a and
// partition 1, with a size behind a colon (10).
func rowsOf(script string) []insert {
	var rows []insert
	for _, word := range strings.Fields(script) {
		size := 10
		name, given, ok := strings.Cut(word, ":")
		if ok {
			fmt.Sscan(given, &size)
		}
		rows = append(rows, insert{user: name[:1], in: placeOf{bucket: int64(name[1])}, size: size})
	}
	return rows
}

func TestPlan(t *testing.T) {
	for _, tc := range []struct {
		name, rows, want string
	}{
		{"nothing is no chunk", "", ""},
		{"one partition is one chunk", "a1 b1 a1", "[0 1 2]"},
		{"a chunk is full at its limit", "a1 b1 c1 d1 e1 f1", "[0 1 2 3] [4 5]"},
		{"a user's next chunk waits for the one before", "a1 a1 a1 a1 a1", "[0 1 2 3] [4]<0"},
		{"other users' do not", "a1 a1 a1 a1 b1 a1", "[0 1 2 3] [4 5]<0"},
		{"a large row is alone", "a1 b1:100 c1", "[0] [1] [2]"},
		{"a large row is alone, in its user's order", "a1 a1:100 a1", "[0] [1]<0 [2]<1"},
		{"partitions are apart", "a1 b2 c1 d2", "[0 2] [1 3]"},
		{"a user who comes back to a partition waits for what was between", "a1 a2 a1", "[0] [1]<0 [2]<1"},
		{"others who stay use the open chunk", "a1 a2 b1 a1", "[0 2] [1]<0 [3]<1"},
		{"a chunk waits once for each", "a1 b1 a2 b2", "[0 1] [2 3]<0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, c := range plan(rowsOf(tc.rows), 40) {
				text := fmt.Sprint(c.rows)
				for _, n := range c.after {
					text += fmt.Sprint("<", n)
				}
				got = append(got, text)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, " "), tc.want)
			}
		})
	}
}

// TestPlanHolds states what a plan promises, for rows of any kind.
func TestPlanHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 200).Draw(t, "limit")
		rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) insert {
			return insert{
				user: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "user"),
				in:   placeOf{bucket: rapid.Int64Range(0, 3).Draw(t, "bucket"), shard: rapid.IntRange(0, 1).Draw(t, "shard")},
				size: rapid.IntRange(1, 250).Draw(t, "size"),
			}
		}), 0, 3*maxBatchRows).Draw(t, "rows")
		chunks := plan(rows, limit)

		chunkOf := map[int]int{}
		for n, c := range chunks {
			size := 0
			for k, i := range c.rows {
				if _, twice := chunkOf[i]; twice {
					t.Fatalf("row %d is in two chunks", i)
				}
				chunkOf[i] = n
				size += rows[i].size
				if rows[i].in != rows[c.rows[0]].in {
					t.Fatalf("chunk %d holds rows of two partitions", n)
				}
				if k > 0 && i < c.rows[k-1] {
					t.Fatalf("chunk %d is not in order: %v", n, c.rows)
				}
			}
			if len(c.rows) == 0 || len(c.rows) > maxBatchRows || size > limit && len(c.rows) > 1 || size != c.size {
				t.Fatalf("chunk %d has %d rows, %d bytes (says %d), limit %d", n, len(c.rows), size, c.size, limit)
			}
		}
		if len(chunkOf) != len(rows) {
			t.Fatalf("%d of %d rows are in a chunk", len(chunkOf), len(rows))
		}
		// A user's row is never stored before one that came before it: it is in the
		// same chunk, or in one that waits, directly or not, for the other's.
		waits := make([]map[int]bool, len(chunks))
		for n, c := range chunks {
			waits[n] = map[int]bool{n: true}
			for _, before := range c.after {
				if before >= n {
					t.Fatalf("chunk %d waits for %d, which is begun later", n, before)
				}
				for m := range waits[before] {
					waits[n][m] = true
				}
			}
		}
		last := map[string]int{}
		for i := range rows {
			n := chunkOf[i]
			if before, ok := last[rows[i].user]; ok && !waits[n][before] {
				t.Fatalf("row %d of user %s is in chunk %d, which does not wait for %d", i, rows[i].user, n, before)
			}
			last[rows[i].user] = n
		}
	})
}

func TestSizeIsWhatIsSent(t *testing.T) {
	args := []any{"acme", int64(1), 7, "user", []byte("data")}
	want := (1 + 2 + 16 + 2) + (4 + 4) + (4 + 8) + (4 + 4) + (4 + 4) + (4 + 4)
	if got := sizeOf(args); got != want {
		t.Errorf("%d, want %d", got, want)
	}
}
