package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"sluice/bench/ledger"
)

// The store is open in the gateway and nowhere else, so it is read through
// GET /v1/users/{user}/events.
const (
	readers    = 8    // users that are asked for at once
	pageEvents = 1000 // the most that a page may have
	pageTime   = time.Minute
	maxLine    = 64 << 20 // bytes of one event
)

// gateway asks for users' events.
type gateway struct {
	client http.Client
	o      Options
}

func newGateway(o Options) (*gateway, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("verify: the gateway's address is %q: want one such as http://127.0.0.1:8080", o.URL)
	}
	if len(o.Tenants) == 0 {
		return nil, errors.New("verify: the local store is read with a tenant's key, and none is given")
	}
	tls, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	return &gateway{o: o, client: http.Client{Timeout: pageTime, Transport: &http.Transport{MaxIdleConnsPerHost: readers, TLSClientConfig: tls}}}, nil
}

func markLocal(ctx context.Context, o Options) error {
	g, err := newGateway(o)
	if err != nil {
		return err
	}
	defer g.client.CloseIdleConnections()
	for _, t := range o.Tenants {
		if _, err := g.page(ctx, t, ledger.UserName(0), "", func(string) {}); err != nil {
			return err
		}
	}
	return nil
}

// readLocal asks for every user of the run, of every tenant: whose of these an
// event was, the ledger does not know.
func readLocal(ctx context.Context, o Options, j *judge) error {
	g, err := newGateway(o)
	if err != nil {
		return err
	}
	defer g.client.CloseIdleConnections()
	asked := users(j.ledger)
	all := uint64(len(asked) * len(o.Tenants))
	next, done := make(chan uint32), make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(next)
		for user := range asked {
			select {
			case next <- user:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range readers {
		group.Go(func() error {
			for user := range next {
				for _, t := range o.Tenants {
					if err := g.user(ctx, t, ledger.UserName(user), j.see); err != nil {
						return err
					}
					select {
					case done <- struct{}{}:
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			}
			return nil
		})
	}
	// Ends when every user was counted, or something failed.
	group.Go(func() error {
		for n := uint64(1); n <= all; n++ {
			select {
			case <-done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if n%1000 == 0 || n == all {
				o.progress(Progress{n, all, "users"})
			}
		}
		return nil
	})
	return group.Wait()
}

// users are all that the run sent anything for.
func users(l *ledger.Ledger) map[uint32]struct{} {
	all := map[uint32]struct{}{}
	for _, entries := range l.Conns {
		for _, e := range entries {
			if e.Outcome != ledger.Unsent {
				all[e.User] = struct{}{}
			}
		}
	}
	return all
}

// user reads all pages of a user's events.
func (g *gateway) user(ctx context.Context, t Tenant, user string, see func(id string)) error {
	cursor := ""
	for {
		next, err := g.page(ctx, t, user, cursor, see)
		switch {
		case err != nil:
			return err
		case next == "":
			return nil
		case next == cursor:
			return fmt.Errorf("verify: the gateway answers with the same page of %s again and again", user)
		}
		cursor = next
	}
}

// page reads one page and returns the cursor of the next, empty at the end.
func (g *gateway) page(ctx context.Context, t Tenant, user, cursor string, see func(id string)) (next string, err error) {
	params := url.Values{"limit": {strconv.Itoa(pageEvents)}, "order": {"asc"}}
	if cursor != "" {
		params.Set("cursor", cursor)
	}
	if !g.o.Since.IsZero() {
		params.Set("from", strconv.FormatInt(g.o.Since.UnixMilli(), 10))
		params.Set("to", "9999-12-31T23:59:59Z") // from alone would end now, and clocks differ
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.o.URL+"/v1/users/"+url.PathEscape(user)+"/events?"+params.Encode(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+t.Key)
	req.Header.Set("Accept", "application/x-ndjson")
	res, err := g.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address and its query
		}
		return "", fmt.Errorf("verify: events of %s from %s: %w", user, g.o.URL, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 500))
		return "", fmt.Errorf("verify: events of %s of tenant %s: the gateway answered %s: %.300q", user, t.Name, res.Status, text)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var e struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil { // an id that is a number is none of ours
			see(e.ID)
		}
	}
	if err := lines.Err(); err != nil {
		return "", fmt.Errorf("verify: events of %s: %w", user, err)
	}
	return res.Header.Get("Sluice-Next-Cursor"), nil
}
