package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd is `sluice version`.
type versionCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// version is what this binary was built from.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // commit
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified"`           // the checkout had changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Run prints the version.
func (c versionCmd) Run(_ context.Context, std stdio) error {
	v := buildVersion(debug.ReadBuildInfo())
	if c.JSON {
		return std.json(v)
	}
	_, err := fmt.Fprintln(std.Out, v)
	return err
}

// buildVersion returns what info says. A binary that was built outside of a
// checkout has no more than "(devel)".
func buildVersion(info *debug.BuildInfo, ok bool) version {
	v := version{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func (v version) String() string {
	return "sluice " + v.short() + " " + v.Go + " " + v.Platform
}

// short is the version with its commit.
func (v version) short() string {
	s := v.Version
	if v.Revision != "" {
		s += fmt.Sprintf(" (commit %.12s, %s", v.Revision, v.Time)
		if v.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s
}
