package admin

import (
	"encoding/json"
	"net/http"
	"strings"
)

// writeJSON answers with v, which always marshals.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client left if it fails
}

// problem answers as RFC 9457 has it, like the data port.
func problem(w http.ResponseWriter, status int, code, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{
		"type":   "about:blank",
		"title":  http.StatusText(status),
		"status": status,
		"code":   code,
		"detail": detail,
	})
}

// problems answers what mux has no handler for with a problem instead of plain
// text. A method that is not allowed keeps its Allow header.
func problems(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r) // and not h, which would miss the values of the path
			return
		}
		verdict := discard{header: http.Header{}}
		h.ServeHTTP(&verdict, r)
		if allow := verdict.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			problem(w, http.StatusMethodNotAllowed, "method_not_allowed", "this path takes "+allow)
			return
		}
		problem(w, http.StatusNotFound, "not_found", "there is no such path; / lists those there are")
	})
}

// discard takes an answer of which only the header is wanted.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// showConfig is /v1/config: JSON, or YAML where that is asked for.
type showConfig struct{ o Options }

func (h showConfig) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	doc := h.o.Config()
	if !wantsYAML(r) {
		writeJSON(w, http.StatusOK, "application/json", doc)
		return
	}
	body, err := doc.YAML()
	if err != nil {
		problem(w, http.StatusInternalServerError, "internal", "the configuration cannot be shown")
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(body)
}

func wantsYAML(r *http.Request) bool {
	if f := r.URL.Query().Get("format"); f != "" {
		return f == "yaml"
	}
	return strings.Contains(strings.ToLower(r.Header.Get("Accept")), "yaml")
}
