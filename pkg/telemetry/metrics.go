package telemetry

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the program's own figures. docs/operations.md lists each with what to do about it.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	jobs     *prometheus.CounterVec
	accepted *prometheus.CounterVec
}

// NewMetrics makes a registry with the program's figures, those of the Go runtime and of the
// process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "exporthub_http_request_seconds",
			Help:    "Time to answer a request, by route pattern, method and status.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method", "status"}),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "exporthub_job_attempts_total",
			Help: "Attempts of jobs that ended, by kind and outcome.",
		}, []string{"kind", "outcome"}),
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "exporthub_export_requests_total",
			Help: "Export requests, by answer: accepted, forbidden, active, daily_limit, rate, invalid, error.",
		}, []string{"answer"}),
	}
	// A registry of our own instead of the package's global one: tests start several programs in
	// one process, and registering a name twice panics.
	m.registry.MustRegister(m.requests, m.jobs, m.accepted,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the figures in the Prometheus text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Request records an answered request.
func (m *Metrics) Request(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
}

// Attempt records an attempt of a job that ended.
func (m *Metrics) Attempt(kind, outcome string) { m.jobs.WithLabelValues(kind, outcome).Inc() }

// ExportRequest records how an export request was answered.
func (m *Metrics) ExportRequest(answer string) { m.accepted.WithLabelValues(answer).Inc() }

// Gauge registers a figure that is read when it is asked for.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}
