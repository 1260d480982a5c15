package gateway

import (
	"strconv"

	"sluice/event"
)

// maxErrors bounds the errors one answer lists; errors_omitted counts the rest.
const maxErrors = 1000

// appendAnswer appends the body of a 200, 202 or 207.
func appendAnswer(dst []byte, t *tally, outcomes []event.Outcome, receipts bool) []byte {
	dst = append(dst, `{"ack":"`...)
	dst = append(dst, t.ack().String()...)
	dst = append(dst, `","accepted":`...)
	dst = strconv.AppendInt(dst, int64(t.accepted), 10)
	dst = append(dst, `,"duplicates":`...)
	dst = strconv.AppendInt(dst, int64(t.duplicates), 10)
	dst = append(dst, `,"rejected":`...)
	dst = strconv.AppendInt(dst, int64(t.rejected), 10)
	dst = append(dst, `,"failed":`...)
	dst = strconv.AppendInt(dst, int64(t.failed), 10)
	if len(outcomes) == 1 {
		// One event sent without an id: its sender learns which it was given.
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, outcomes[0].ID)
	}
	if t.rejected+t.failed > 0 {
		dst = appendErrors(append(dst, ','), outcomes)
	}
	if receipts {
		dst = appendReceipts(append(dst, ','), outcomes)
	}
	return append(dst, '}')
}

// appendErrors appends the members errors and, when there are too many of
// them, errors_omitted.
func appendErrors(dst []byte, outcomes []event.Outcome) []byte {
	dst = append(dst, `"errors":[`...)
	listed, omitted := 0, 0
	for i := range outcomes {
		o := &outcomes[i]
		if o.Fate != event.Rejected && o.Fate != event.Failed {
			continue
		}
		if listed == maxErrors {
			omitted++
			continue
		}
		if listed > 0 {
			dst = append(dst, ',')
		}
		dst = appendError(dst, i, o)
		listed++
	}
	dst = append(dst, ']')
	if omitted > 0 {
		dst = append(dst, `,"errors_omitted":`...)
		dst = strconv.AppendInt(dst, int64(omitted), 10)
	}
	return dst
}

// unexplained stands in for a reason that a stage owed and did not give.
var unexplained = event.Reason{Code: CodeInternal, Stage: event.StageGateway,
	Message: "the event was not accepted and no reason was recorded"}

func appendError(dst []byte, index int, o *event.Outcome) []byte {
	r := o.Reason
	if r == nil {
		r = &unexplained
	}
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	if o.ID != "" {
		dst = append(dst, `,"id":`...)
		dst = appendString(dst, o.ID)
	}
	dst = append(dst, `,"outcome":"`...)
	dst = append(dst, o.Fate.String()...)
	dst = append(dst, `","code":`...)
	dst = appendString(dst, r.Code)
	dst = append(dst, `,"stage":`...)
	dst = appendString(dst, r.Stage)
	if r.Pointer != "" {
		dst = append(dst, `,"pointer":`...)
		dst = appendString(dst, r.Pointer)
	}
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, r.Message)
	return append(dst, '}')
}

// appendReceipts appends the member receipts: one per event, by index.
func appendReceipts(dst []byte, outcomes []event.Outcome) []byte {
	dst = append(dst, `"receipts":[`...)
	for i := range outcomes {
		o := &outcomes[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, int64(i), 10)
		if o.ID != "" {
			dst = append(dst, `,"id":`...)
			dst = appendString(dst, o.ID)
		}
		dst = append(dst, `,"outcome":"`...)
		dst = append(dst, o.Fate.String()...)
		dst = append(dst, '"')
		if o.Where != "" {
			dst = append(dst, `,"where":`...)
			dst = appendString(dst, o.Where)
		}
		dst = append(dst, '}')
	}
	return append(dst, ']')
}
