package gateway

import "testing"

func checkDocumented(testing.TB, string, *answer) {}
func undelivered() error                          { return nil }
