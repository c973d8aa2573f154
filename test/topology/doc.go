// Package topology tests the system in parts, as compose.yaml and "make up" run it: API replicas,
// workers, Redis, PostgreSQL and Qiniu. Its benchmarks measure the same.
package topology
