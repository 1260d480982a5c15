package kafka

import (
	"fmt"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
	"github.com/xdg-go/scram"
)

// saramaConfig returns what every connection of the cluster has in common. c is
// valid and has its defaults.
func (c Config) saramaConfig() (*sarama.Config, error) {
	s := sarama.NewConfig()
	// Request versions are negotiated down per broker from what this version
	// knows; sarama covers the whole protocol of 2.8.
	s.Version = sarama.V2_8_0_0
	s.ClientID = c.ClientID
	s.MetricRegistry = noMetrics{}

	s.Net.MaxOpenRequests = 1
	s.Net.DialTimeout = connectTimeout
	s.Net.WriteTimeout = c.Timeout
	s.Net.ReadTimeout = c.Timeout + time.Second
	s.Metadata.AllowAutoTopicCreation = false

	tlsConfig, err := c.TLS.tlsConfig()
	if err != nil {
		return nil, err
	}
	s.Net.TLS.Enable = tlsConfig != nil
	s.Net.TLS.Config = tlsConfig

	if c.SASL.Mechanism != "" {
		s.Net.SASL.Enable = true
		s.Net.SASL.Mechanism = sarama.SASLMechanism(c.SASL.Mechanism)
		s.Net.SASL.User = c.SASL.User
		s.Net.SASL.Password = c.SASL.Password
		s.Net.SASL.Version = sarama.SASLHandshakeV1
		hash := scram.SHA512
		if c.SASL.Mechanism == sarama.SASLTypeSCRAMSHA256 {
			hash = scram.SHA256
		}
		s.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scramClient{hash: hash} }
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return s, nil
}

// scramClient is one SCRAM exchange (RFC 5802), as sarama asks for it.
type scramClient struct {
	hash scram.HashGeneratorFcn
	conv *scram.ClientConversation
}

func (s *scramClient) Begin(user, password, authzID string) error {
	client, err := s.hash.NewClient(user, password, authzID)
	if err != nil {
		return err
	}
	s.conv = client.NewConversation()
	return nil
}

func (s *scramClient) Step(challenge string) (string, error) { return s.conv.Step(challenge) }
func (s *scramClient) Done() bool                            { return s.conv.Done() }

// noMetrics is a registry that measures nothing: sarama would update a dozen
// histograms per request, and keep a goroutine for its meters.
type noMetrics struct{}

func (noMetrics) Each(func(string, any))            {}
func (noMetrics) Get(string) any                    { return nil }
func (noMetrics) GetAll() map[string]map[string]any { return nil }
func (noMetrics) Register(string, any) error        { return nil }
func (noMetrics) RunHealthchecks()                  {}
func (noMetrics) Unregister(string)                 {}
func (noMetrics) UnregisterAll()                    {}
func (noMetrics) GetOrRegister(_ string, metric any) any {
	switch metric.(type) {
	case func() metrics.Histogram:
		return metrics.NilHistogram{}
	case func() metrics.Meter:
		return metrics.NilMeter{}
	case func() metrics.Counter:
		return metrics.NilCounter{}
	case func() metrics.Timer:
		return metrics.NilTimer{}
	case func() metrics.Gauge:
		return metrics.NilGauge{}
	}
	return metric
}
