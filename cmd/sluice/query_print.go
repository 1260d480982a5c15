package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// eventPrinter prints events as lines of JSON, or as a table where a person is
// looking.
type eventPrinter struct {
	out   io.Writer
	width int // columns of the terminal; 0: lines of JSON
	head  bool
}

func newEventPrinter(out io.Writer, asJSON bool) *eventPrinter {
	p := &eventPrinter{out: out}
	file, ok := out.(*os.File)
	if asJSON || !ok || !term.IsTerminal(int(file.Fd())) {
		return p
	}
	p.width = 80
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		p.width = width
	}
	return p
}

// The widths of the columns of the table; the event has the rest.
const (
	columnTS, columnType, columnID = 24, 16, 24
	columnEvent                    = 20 // at least
)

// print prints one event.
func (p *eventPrinter) print(e []byte) error {
	line := oneEventALine(e)
	if p.width == 0 {
		_, err := p.out.Write(append(line, '\n'))
		return err
	}
	if !p.head {
		p.head = true
		if err := p.row("TS", "TYPE", "ID", "EVENT"); err != nil {
			return err
		}
	}
	// Where a tenant keeps its fields elsewhere the columns are empty and the
	// event shows them.
	var fields struct{ TS, Type, ID json.RawMessage }
	_ = json.Unmarshal(e, &fields)
	return p.row(cell(fields.TS), cell(fields.Type), cell(fields.ID), string(line))
}

// cell is a string or a number of an event, or a dash.
func cell(raw json.RawMessage) string {
	var s string
	switch {
	case len(raw) == 0:
		return "-"
	case json.Unmarshal(raw, &s) == nil:
		return s
	}
	return string(raw)
}

func (p *eventPrinter) row(ts, kind, id, text string) error {
	rest := max(columnEvent, p.width-columnTS-columnType-columnID-6)
	_, err := fmt.Fprintf(p.out, "%s  %s  %s  %s\n",
		column(ts, columnTS), column(kind, columnType), column(id, columnID), strings.TrimRight(column(text, rest), " "))
	return err
}

// column cuts s to n characters, or fills it up.
func column(s string, n int) string {
	s = printable(s)
	if have := utf8.RuneCountInString(s); have <= n {
		return s + strings.Repeat(" ", n-have)
	}
	return string([]rune(s)[:n-1]) + "…"
}

// printable keeps what others have sent from commanding the terminal: control
// characters, and those that change the direction of text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
}

// end says below a table how much was shown, and how to see more. A script gets
// told only that there is more.
func (p *eventPrinter) end(to io.Writer, shown int, cursor string) error {
	var err error
	switch {
	case cursor != "" && p.width > 0:
		_, err = fmt.Fprintf(to, "%d events; there are more: use --all, a greater --limit, or --cursor %s\n", shown, printable(cursor))
	case cursor != "":
		_, err = fmt.Fprintf(to, "sluice: there are more events; go on with --cursor %s, or use --all\n", printable(cursor))
	case p.width > 0:
		_, err = fmt.Fprintf(to, "%d events\n", shown)
	}
	return err
}
