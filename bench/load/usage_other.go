//go:build !unix

package load

import "time"

func ownCPU() time.Duration { return 0 }

func ownRSS() uint64 { return 0 }
