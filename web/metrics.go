package web

import (
	"database/sql"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey/latchkey/auth"
)

// Metrics are metrics for Prometheus. They have a listener of their own, because they are not public.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	known    sync.Map // operationLabels: *operationMetrics
}

type operationLabels struct{ kind, field, code string }

type operationMetrics struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

// NewMetrics returns the metrics of a service, its connection pools and its sockets. Operation adds operations.
func NewMetrics(service *auth.Service, pools map[string]func() sql.DBStats, sockets func() int) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_graphql_operations_total", Help: "Operations by kind, first root field and code of the first error (OK without).",
		}, []string{"kind", "field", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "latchkey_graphql_duration_seconds", Help: "Duration of operations by kind.", Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
		}, []string{"kind"}),
	}
	delay := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "latchkey_notice_delay_seconds", Help: "From a change to this process hearing of it, by both clocks.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 2.5, 12),
	})
	service.ObserveNotices(func(d time.Duration) { delay.Observe(d.Seconds()) })
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.duration, delay, &serviceCollector{service: service, pools: pools, sockets: sockets},
	)
	return m
}

// Operation records a finished operation.
func (m *Metrics) Operation(kind, field, code string, took time.Duration) {
	labels := operationLabels{kind, field, code}
	known, ok := m.known.Load(labels)
	if !ok { // looking labels up is slow
		known, _ = m.known.LoadOrStore(labels, &operationMetrics{m.requests.WithLabelValues(kind, field, code), m.duration.WithLabelValues(kind)})
	}
	known.(*operationMetrics).requests.Inc()
	known.(*operationMetrics).duration.Observe(took.Seconds())
}

// Handler serves the metrics at /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}

// serviceCollector reads metrics when Prometheus scrapes them.
type serviceCollector struct {
	service *auth.Service
	pools   map[string]func() sql.DBStats
	sockets func() int
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("latchkey_"+name, help, labels, nil)
}

var (
	hearingDesc     = describe("hearing_notices", "1 while changes by other processes are received; 0 while each request asks the database, and while the server is idle.")
	idleDesc        = describe("idle", "1 while no one uses the server, so that it does not listen to changes.")
	loginsDesc      = describe("logins_total", "Logins by outcome: ok, refused, limited, failed.", "outcome")
	cacheDesc       = describe("viewer_cache_lookups_total", "Tokens looked up, by result: hit, miss.", "result")
	entriesDesc     = describe("viewer_cache_entries", "Tokens remembered.")
	hashingDesc     = describe("password_hashes", "Passwords by state: hashing, waiting.", "state")
	socketsDesc     = describe("websockets", "Open WebSockets.")
	watchesDesc     = describe("watched_streams", "Open WebSockets and event streams that end with their token.")
	webhooksDesc    = describe("webhook_attempts_total", "Attempts to deliver webhooks by outcome: delivered, retried (failed, and tried again later), failed (given up).", "outcome")
	connectionsDesc = describe("database_connections", "Connections of a pool by state: in_use, idle.", "pool", "state")
	waitsDesc       = describe("database_waits_total", "Queries that waited for a connection of a pool.", "pool")
)

// Describe implements prometheus.Collector.
func (*serviceCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		hearingDesc, idleDesc, loginsDesc, cacheDesc, entriesDesc, hashingDesc, socketsDesc, watchesDesc, webhooksDesc, connectionsDesc, waitsDesc,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (c *serviceCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	s := c.service.Stats()
	hearing := 0
	if s.Hearing {
		hearing = 1
	}
	gauge(hearingDesc, hearing)
	idle := 0
	if s.Idle {
		idle = 1
	}
	gauge(idleDesc, idle)
	for outcome, n := range s.Logins {
		counter(loginsDesc, n, outcome)
	}
	counter(cacheDesc, s.CacheHits, "hit")
	counter(cacheDesc, s.CacheMisses, "miss")
	gauge(entriesDesc, s.CacheEntries)
	gauge(hashingDesc, s.Hashing, "hashing")
	gauge(hashingDesc, s.HashWaiting, "waiting")
	gauge(socketsDesc, c.sockets())
	gauge(watchesDesc, s.Watches)
	for outcome, n := range s.Webhooks {
		counter(webhooksDesc, n, outcome)
	}
	for name, stats := range c.pools {
		p := stats()
		gauge(connectionsDesc, p.InUse, name, "in_use")
		gauge(connectionsDesc, p.Idle, name, "idle")
		counter(waitsDesc, uint64(p.WaitCount), name)
	}
}
