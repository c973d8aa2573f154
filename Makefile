SHELL := /bin/bash
.DEFAULT_GOAL := help

# Every test runs under the services it talks to: Redis, PostgreSQL and MariaDB, started once on free ports.
WITH_SERVICES := go run ./pkg/testkit/services --

# What runs "go test" with a pattern fails when the pattern finds no test, which go test by itself passes.
RAN := go run ./pkg/testkit/ran

help: ## the targets, each in a line
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## the whole system in one process, with demo data, at http://127.0.0.1:8080
	exec ./bin/api -embedded

dev: bin/api ## the system as run does, without building the page (run "npm --prefix web run dev" beside it)
	exec ./bin/api -embedded

up: build $(if $(filter qiniu,$(STORAGE)),bin/qiniu-fake) ## the system in parts, in the background, without Docker; STORAGE=qiniu for a fake Qiniu
	./bin/up

down: ## stops what up started; data stays
	@test -x bin/up || $(MAKE) --no-print-directory build-go
	./bin/up -down

bin/qiniu-fake: build-go
	go build -o $@ ./pkg/storage/qiniu/fake/cmd

build: ## the page and both programs, side by side as far as they go
	@$(MAKE) --no-print-directory -j2 web compile
	@$(MAKE) --no-print-directory build-go

# Everything but the package that embeds the page, which has to be built before it.
compile:
	@CGO_ENABLED=0 go build ./pkg/... ./jobs/...

build-go:
	CGO_ENABLED=0 go build -o bin/ ./cmd/...

bin/api: build-go

# The page is built again only when something it is made of has changed.
web: web/dist/index.html ## the page alone

web/dist/index.html: web/node_modules/.package-lock.json web/index.html web/vite.config.ts web/tsconfig.json $(shell find web/src web/public web/scripts -type f 2>/dev/null)
	npm --prefix web run build

web/node_modules/.package-lock.json: web/package-lock.json
	npm --prefix web ci --no-audit --no-fund
	@touch $@

test: deps test-page build-go ## everything: Go, the stock Faye client, the page in a real browser
	$(WITH_SERVICES) go test -timeout 15m ./...

deps: ## what the tests need and this machine lacks, by apt or brew
	@tools/install-test-deps.sh

test-page: web
	npm --prefix web test

test-go: deps web ## the Go tests alone
	$(WITH_SERVICES) go test -timeout 15m ./...

# Every package that starts goroutines. SQLite, which is Go code here, is 14 to 21 times slower under
# the race detector, so what runs on every engine runs on PostgreSQL, and SQLite's own tests beside it.
RACE := ./jobs/... ./pkg/auth/... ./pkg/backoff/... ./pkg/bayeux/... ./pkg/database/... ./pkg/dataset/... ./pkg/export/... \
	./pkg/job/... ./pkg/ratelimit/... ./pkg/storage/... ./pkg/telemetry/... ./pkg/testkit/...

test-race: deps web ## every package that starts goroutines, under the race detector
	DBTEST_ENGINES=PostgreSQL $(WITH_SERVICES) go test -race -timeout 20m $(RACE)
	DBTEST_ENGINES=SQLite $(WITH_SERVICES) $(RAN) Write SQLite -- go test -race -timeout 10m -run 'Write|SQLite' ./pkg/database

test-long: soak ## what takes longer than CI may: the soak, ten minutes of faults

soak: deps web build-go ## 300 exports under random kills, stalls and cuts; SOAK=2m SEED=1 choose how long and what
	SOAK=$(SOAK) SEED=$(SEED) $(WITH_SERVICES) $(RAN) TestSoak -- go test -count=1 -timeout 90m -tags soak -run "^TestSoak$$" -v ./test/faults

test-faults: deps web build-go ## real processes killed, stopped and cut off, at real lengths
	$(WITH_SERVICES) $(RAN) Fault -- go test -timeout 25m -tags faults -run 'Fault' ./test/faults

bench: ## benchmarks with their peers beside them
	go run ./pkg/export/bench -rows $(BENCH_ROWS) -rounds $(BENCH_ROUNDS)
	$(WITH_SERVICES) go run ./pkg/export/bench -job -rows $(BENCH_ROWS) -rounds $(BENCH_ROUNDS)
	$(RAN) Benchmark -- go test -run '^$$' -bench . -benchmem ./pkg/export/... ./pkg/bayeux/...
	$(RAN) Benchmark -- go test -run '^$$' -bench . -benchtime 1x -timeout 10m ./cmd/api
	$(WITH_SERVICES) $(RAN) Benchmark -- go test -run '^$$' -bench . -benchtime 1x -timeout 30m ./test/topology
	$(WITH_SERVICES) $(RAN) Benchmark -- go test -run '^$$' -bench . -benchtime 5x -timeout 60m -v ./pkg/admin/contact

# How many rows "make bench" writes, and how often: BENCH_ROWS=5000000 takes a while.
BENCH_ROWS ?= 200000,1000000
BENCH_ROUNDS ?= 3

verify-files: ## workbooks with every rule and limit, converted by LibreOffice (which is installed where it is missing)
	@tools/install-libreoffice.sh
	$(RAN) LibreOffice -- go test -tags verifyfiles -count=1 -run LibreOffice ./pkg/export/xlsx

lint: ## formatting, vet, staticcheck, and the figures of readability
	@test -z "$$(gofmt -l cmd jobs pkg test web/*.go)" || { gofmt -l cmd jobs pkg test web/*.go; echo "run: gofmt -w"; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	go -C tools run ./figures -check

audit: ## known vulnerabilities of Go modules and npm packages, where their databases can be reached
	@tools/audit.sh

# The packages with golden files. The others do not know the flag -update, and fail on it.
GOLDEN = $(shell grep -rl --include=*_test.go testkit.Golden cmd jobs pkg test | xargs -n1 dirname | sort -u | sed 's,^,./,')

generate: ## golden files and the state diagram, from the code
	$(WITH_SERVICES) $(RAN) Golden ReplayOf Diagram -- go test $(GOLDEN) -run 'Golden|ReplayOf|Diagram' -update

fuzz: ## each fuzz target for a minute
	@grep -rq --include=*_test.go '^func Fuzz' pkg jobs cmd || { echo "there is no fuzz target any more"; exit 1; }
	@for pkg in $$(grep -rl --include=*_test.go '^func Fuzz' pkg jobs cmd | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | cut -c6-); do \
	    echo "== $$pkg $$f"; go test ./$$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime 1m -fuzzminimizetime 2s || exit 1; done; done

clean: ## what was built; data stays
	rm -rf bin web/node_modules
	find web/dist -mindepth 1 ! -name .keep -delete

.PHONY: help run dev up down build compile build-go web test deps test-page test-go test-race test-faults test-long soak bench verify-files lint audit generate fuzz clean
