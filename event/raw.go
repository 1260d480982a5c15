package event

// Kind is the JSON kind of a value.
type Kind uint8

// The kinds. Absent is the zero value: the pointer led nowhere.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Object
	Array
)

// Value is one field as the parser found it.
type Value struct {
	Kind Kind
	// Text is the unescaped string of a String and the literal of a Number. It
	// may share memory with the body. Empty for every other kind.
	Text string
}

// Raw is one well-formed event before its fields are checked.
type Raw struct {
	Index              int // in its request
	Data               []byte
	ID, Type, User, TS Value
}

// Reject is one event or line that is not an event, found by the parser.
type Reject struct {
	Index  int
	ID     string // where it could be read
	Reason Reason
}
