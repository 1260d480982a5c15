package cassandra

// insert is one row on its way.
type insert struct {
	cql  string
	args []any
	size int     // bytes it takes in a request
	in   placeOf // the partition
	user string  // whose rows become visible in order
}

// placeOf is a partition key, the tenant and the table apart.
type placeOf struct {
	bucket int64 // or the period, in the index
	shard  int
	user   string // with partition_by: user
}

// chunk is what goes to the server at once: one or more rows of one partition.
type chunk struct {
	rows  []int // indices of inserts, ascending
	after []int // indices of the chunks that have to be stored before it
	size  int
}

// maxBatchRows bounds the statements of a batch: small rows would otherwise
// fill one with more than a node handles smoothly.
const maxBatchRows = 200

// plan divides inserts into chunks of at most maxBytes and maxBatchRows each, a
// larger row in a chunk of its own. Chunks may be written at the same time, except
// that one waits for those in its after, which come before it in the plan: they
// hold earlier rows of the same users.
//
// Invariant: a user's rows are in chunks of ascending index.
func plan(rows []insert, maxBytes int) []chunk {
	var chunks []chunk
	open := make(map[placeOf]int, 1)                 // the last chunk of each partition
	last := make(map[string]int, min(len(rows), 64)) // the last chunk with a row of each user
	for i := range rows {
		r := &rows[i]
		before, follows := last[r.user]
		n, ok := open[r.in]
		if !ok || n < before || chunks[n].size+r.size > maxBytes || len(chunks[n].rows) == maxBatchRows {
			n = len(chunks)
			chunks = append(chunks, chunk{})
			open[r.in] = n
		}
		c := &chunks[n]
		c.rows = append(c.rows, i)
		c.size += r.size
		if follows && before != n {
			c.waitFor(before)
		}
		last[r.user] = n
	}
	return chunks
}

func (c *chunk) waitFor(before int) {
	for _, n := range c.after {
		if n == before {
			return
		}
	}
	c.after = append(c.after, before)
}

// maxRowBytes is above what any server takes by default (a mutation of 16 MiB,
// in a frame of 16 MiB): a larger row is refused here, since a server may end
// the connection over it.
const maxRowBytes = 15 << 20

// The bytes of a BATCH request, protocol v4 section 4.1.7: for each statement
// its kind, a short and the 16 bytes of its id, and a short; an int before each
// value.
const (
	statementBytes = 1 + 2 + 16 + 2
	valueBytes     = 4
)

// sizeOf returns what a row takes in a request, from its values: strings and
// bytes by their length, int64 as bigint and timestamp, int as int.
func sizeOf(args []any) int {
	size := statementBytes
	for _, arg := range args {
		size += valueBytes
		switch v := arg.(type) {
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		case int64:
			size += 8
		case int:
			size += 4
		default:
			panic("cassandra: a value of a type that rows do not have")
		}
	}
	return size
}
