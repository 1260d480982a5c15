package admin

import "net/http"

// page lists what the port has.
const page = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>sluice</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; color-scheme: light dark }
dt { font-family: ui-monospace, monospace; margin-top: .8rem }
dd { margin-left: 1.5rem }
</style>
<h1>sluice: admin port</h1>
<dl>
<dt><a href="/healthz">/healthz</a><dd>The process is alive.
<dt><a href="/readyz">/readyz</a><dd>It should get traffic, or why not: by tenant and sink.
<dt><a href="/metrics">/metrics</a><dd>Metrics for Prometheus.
<dt><a href="/v1/config?format=yaml">/v1/config</a><dd>The configuration in force, without secrets; JSON, or YAML with <code>?format=yaml</code>.
<dt><a href="/debug/pprof/">/debug/pprof/</a><dd>Profiles of the process, for <code>go tool pprof</code>.
</dl>
</html>
`

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page)) // the client left if it fails
}
