package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/IBM/sarama"

	"sluice/sinks"
)

// Cluster is one Kafka cluster as all tenants of a sink share it: its settings,
// its topics and where their leaders are. It has no connection of its own that
// lasts; Tenant's sinks do.
type Cluster struct {
	cfg  Config // valid, with its defaults
	conf *sarama.Config
	log  *slog.Logger

	// ctx ends with Close; whatever the cluster does in the background stops then.
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	wg      sync.WaitGroup // background work; added to only while not closed
	closed  bool
	topics  map[string]*topic
	tenants map[*Sink]struct{} // not closed yet
	brokers []string           // addresses the cluster told us, for metadata
	good    string             // the one that answered last
}

// Open returns the cluster of cfg. It connects to nothing: an error is one of
// the settings or of a file they name. A nil log is silence.
func Open(cfg Config, log *slog.Logger) (*Cluster, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	conf, err := cfg.saramaConfig()
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg.Brokers = slices.Clone(cfg.Brokers)
	ctx, stop := context.WithCancel(context.Background())
	return &Cluster{
		cfg: cfg, conf: conf, log: log, ctx: ctx, stop: stop,
		topics: map[string]*topic{}, tenants: map[*Sink]struct{}{},
	}, nil
}

// Tenant returns the sink of a tenant, with connections and producer ids of its
// own. The caller closes it; Cluster.Close closes those it forgot.
func (c *Cluster) Tenant(tenant string) sinks.Sink {
	name := strings.ReplaceAll(c.cfg.Topic, tenantPlaceholder, tenant)
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.topics[name]
	if t == nil {
		t = newTopic(c, name)
		c.topics[name] = t
	}
	s := newSink(c, t)
	if !c.closed {
		c.tenants[s] = struct{}{}
	}
	return s
}

// Close closes every sink of the cluster and ends what runs in the background.
// The error is that of ctx when something would not end in time.
func (c *Cluster) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	open := make([]*Sink, 0, len(c.tenants))
	for s := range c.tenants {
		open = append(open, s)
	}
	c.mu.Unlock()

	var errs []error
	for _, s := range open {
		errs = append(errs, s.Close(ctx))
	}
	c.stop()
	errs = append(errs, within(ctx, "the questions to the brokers", c.wg.Wait))
	return errors.Join(errs...)
}

func (c *Cluster) forget(s *Sink) {
	c.mu.Lock()
	delete(c.tenants, s)
	c.mu.Unlock()
}

// background runs f on a goroutine that Close waits for, unless the cluster is
// closed; then it reports false.
func (c *Cluster) background(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.wg.Go(f)
	return true
}

// within waits for wait to return, or for the end of ctx.
func within(ctx context.Context, what string, wait func()) error {
	done := make(chan struct{})
	go func() { wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-done: // both were ready
		return nil
	default:
		return fmt.Errorf("kafka: %s did not end in time: %w", what, context.Cause(ctx))
	}
}

var errClosed = errors.New("kafka: the sink is closed")

// ask puts a question to one broker after the other until one answers. The
// question is put again only when the connection failed: an answer that says no
// is an answer, and ask returns nil then unless ask itself returned an error.
func (c *Cluster) ask(ctx context.Context, question func(*sarama.Broker) error) error {
	var failed []error
	for _, addr := range c.candidates() {
		err := c.askOne(ctx, addr, question)
		c.mark(addr, err == nil)
		if err == nil {
			return nil
		}
		if isCredentials(err) || ctx.Err() != nil && len(failed) == 0 {
			return err // all brokers would say the same; nobody waits any more
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return &noneAnswered{failed}
}

// noneAnswered is why each of several brokers did not answer.
type noneAnswered struct{ errs []error }

func (e *noneAnswered) Unwrap() []error { return e.errs }

func (e *noneAnswered) Error() string {
	texts := make([]string, len(e.errs))
	for i, err := range e.errs {
		texts[i] = strings.TrimPrefix(err.Error(), "kafka: ")
	}
	return "kafka: no broker answered: " + strings.Join(texts, "; ")
}

func (c *Cluster) askOne(ctx context.Context, addr string, question func(*sarama.Broker) error) error {
	conn, err := c.connect(ctx, addr)
	if err != nil {
		return err
	}
	defer conn.close()
	defer context.AfterFunc(ctx, conn.cut)()
	if err := question(conn.broker); err != nil {
		return explain(addr, c.cfg, err)
	}
	return nil
}

// candidates returns the addresses to ask: the one that answered last, those
// that the cluster itself told us, and those of the configuration.
func (c *Cluster) candidates() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, addr := range slices.Concat([]string{c.good}, c.brokers, c.cfg.Brokers) {
		if addr != "" && !slices.Contains(all, addr) {
			all = append(all, addr)
		}
	}
	return all
}

// mark notes whether addr has answered.
func (c *Cluster) mark(addr string, answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case answered:
		c.good = addr
	case c.good == addr:
		c.good = ""
	}
}

// know keeps the addresses of the brokers that metadata names.
func (c *Cluster) know(brokers []string) {
	if len(brokers) == 0 {
		return
	}
	c.mu.Lock()
	c.brokers = brokers
	c.mu.Unlock()
}
