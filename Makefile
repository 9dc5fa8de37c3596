# `make help` lists the targets. Only audits, browser, browsers, web, clients, webhooks, client, federation and oidc need Node.

URL      ?= http://127.0.0.1:8080
FUZZTIME ?= 10s
DAMAGEDTIME ?= 10m
SOAKTIME ?= 1h
TOKENS   ?= 10000 100000
USERS    ?= 10000 100000
EVENTS   ?= 10000 1000000
DATABASE ?= sqlite|postgres
VERSION  ?= $(shell git describe --tags --always 2>/dev/null)
GOVULNCHECK := go run golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# The race detector needs a C compiler; without one Go turns cgo off. It watches neither the hashing of passwords, which shares
# no memory, nor SQLite, translated from C: they took most of the tests' CPU time.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race '-gcflags=golang.org/x/crypto/...=-race=false' '-gcflags=modernc.org/...=-d=checkptr=0' '-gcflags=modernc.org/sqlite/lib=-race=false -d=checkptr=0')

.PHONY: help test mutations lint generate bench bench-compare microbench fuzz damaged audits browser web clients webhooks client build vuln sbom bench-scale soak browsers scale federation oidc

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' Makefile

# Tests on PostgreSQL start their own server. Without PostgreSQL they are skipped or, with
# LATCHKEY_TEST_REQUIRE_POSTGRES=1, fail.
# Most tests spend their time waiting: -parallel 6 keeps two cores busy. test/threats, which takes longest, begins first.
test: ## All tests, with the race detector if there is a C compiler.
	@$(if $(RACE),:,echo "there is no C compiler (or CGO_ENABLED=0): testing without the race detector")
	go test $(RACE) -parallel 6 -timeout 20m ./test/threats ./...
	cd examples/notes && go test $(RACE) -timeout 5m ./...
	cd examples/shop && go test $(RACE) -timeout 5m ./...

mutations: ## Removes each protection of docs/security.md in turn: its tests must fail. ONLY=REGEXP runs some.
	go run ./test/mutations -run '$(ONLY)'

lint: ## Runs golangci-lint with .golangci.yml. The first run builds it, which takes a minute or two.
	$(GOLANGCI) run ./...
	cd examples/notes && $(GOLANGCI) run --config ../../.golangci.yml ./...
	cd examples/shop && $(GOLANGCI) run --config ../../.golangci.yml ./...

generate: ## Generates code from the schemas with gqlgen.
	go run ./graph/direct/generate
	go generate ./graph/direct/difftest
	cd examples/notes && go tool gqlgen
	cd examples/shop && go generate ./...
	cd test/existing/before && go generate ./...
	cd bench/peers/gqlgen && go tool gqlgen

# BENCH has flags, such as BENCH='-cases me,list -rounds 3'; `go run ./bench -help` lists them.
bench: ## Compares the server's CPU time with bare net/http; see docs/performance.md. Some minutes; JSON in bench.json.
	go run ./bench -json bench.json $(BENCH)

bench-compare: ## The same, and compares with the server of the commit BASE.
	@test -n "$(BASE)" || { echo "name a commit: make bench-compare BASE=main"; exit 1; }
	go run ./bench -json bench.json -base '$(BASE)' $(BENCH)

bench-scale: ## Measures many connections, several processes, and storms of logins and revocations, on PostgreSQL.
	go run ./bench -databases postgres -rounds 3 -mode connections $(BENCH)
	go run ./bench -databases postgres -rounds 3 -mode processes $(BENCH)
	go run ./bench -databases postgres -rounds 3 -mode storm $(BENCH)

microbench: ## All benchmarks of Go's testing package.
	go test -run '^$$' -bench . -benchmem ./...

scale: ## Measures reads at the sizes TOKENS, USERS and EVENTS, a list of numbers each, on DATABASE (sqlite, postgres; both).
	LATCHKEY_TEST_TOKENS='$(TOKENS)' LATCHKEY_TEST_USERS='$(USERS)' LATCHKEY_TEST_EVENTS='$(EVENTS)' \
	go test -count=1 -timeout 0 -v -run '^TestReadsStayFlatAsTablesGrow$$/($(DATABASE))' ./test/scale

# Each package's targets are in one program, which is built once.
fuzz: ## Every fuzz target for FUZZTIME (10s).
	@set -e; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; cache=$$(go env GOCACHE)/fuzz; \
	files=$$(grep -rl --include='*_test.go' --exclude-dir=node_modules '^func Fuzz' .); \
	for dir in $$(dirname $$files | sort -u); do \
		(cd "$$dir"; go test -vet=off -c -fuzz Fuzz -o "$$out/fuzz" .; targets=$$("$$out/fuzz" -test.list '^Fuzz'); \
		for target in $$targets; do \
			echo "$$dir $$target"; \
			"$$out/fuzz" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 5s \
				-test.fuzzcachedir "$$cache/$$dir" </dev/null; \
		done); \
	done

damaged: ## Sends damaged requests to a server, for DAMAGEDTIME (10m) on each database.
	LATCHKEY_TEST_FUZZ=$(DAMAGEDTIME) go test -count=1 -timeout 0 -v -run '^TestDamagedRequestsGetOnlyResponses$$' ./test/damaged

soak: ## Loads a server for SOAKTIME (1h): nothing may grow, no response be wrong. DATABASE=sqlite or postgres runs one.
	LATCHKEY_TEST_SOAK=$(SOAKTIME) go test -count=1 -timeout 0 -v -run '^TestSoak$$/($(DATABASE))' ./test/soak

audits: password ## Tests the server at URL against GraphQL over HTTP and Apollo Client; PASSWORD is admin's.
	cd test/audits && npm ci --no-audit --no-fund
	cd test/audits && node audits.mjs '$(URL)/graphql'
	@cd test/audits && node apollo.mjs '$(URL)/graphql' admin "$$PASSWORD"

browser: password ## Logs in to the server at URL with GraphiQL in Chromium; PASSWORD is admin's.
	cd test/browser && npm ci --no-audit --no-fund
	@cd test/browser && node graphiql.mjs '$(URL)/' "$$PASSWORD"

.PHONY: password
password:
	@test -n "$$PASSWORD" || { echo "put the password of admin into PASSWORD"; exit 1; }

clients: password ## Runs graphql-ws, graphql-sse, Apollo Client, urql and jose against the server at URL; PASSWORD is admin's.
	cd test/clients && npm ci --no-audit --no-fund
	@cd test/clients && node clients.mjs '$(URL)' admin "$$PASSWORD"

webhooks: ## Runs the receivers of docs/webhooks.md, in Go and TypeScript.
	cd test/webhooks && npm ci --no-audit --no-fund
	LATCHKEY_TEST_REQUIRE_NODE=1 go test -count=1 ./test/webhooks

client: ## Builds and tests the npm package clients/apollo, against its own server and, with PASSWORD, the one at URL.
	cd clients/apollo && npm ci --no-audit --no-fund
	cd clients/apollo && npm run build && npm run size && npm run check
	@cd clients/apollo && URL='$(URL)' npm test

# With LATCHKEY_TEST_REQUIRE_BROWSERS=1, a browser that is not installed is a failure.
browsers: ## Tests sessions of clients/apollo in tabs of Firefox and WebKitGTK, where they are installed.
	cd clients/apollo && npm ci --no-audit --no-fund && npm run build
	cd clients/apollo && node --test --test-reporter=spec test/browsers.mjs

web: ## Uses the pages of accounts, examples/web, GraphiQL with a cookie, and GraphQL Playground in Chromium, against servers of their own.
	cd clients/apollo && npm ci --no-audit --no-fund && npm run build
	cd examples/web && npm ci --no-audit --no-fund && npm run build
	cd test/browser && npm ci --no-audit --no-fund && node account.mjs && node web.mjs && node graphiql.mjs && node playground.mjs

federation: ## Composes Latchkey and examples/notes with three composers, and runs them behind Hive Gateway.
	cd test/federation && npm ci --no-audit --no-fund
	cd test/federation && node federation.mjs

oidc: ## Logs in by a certified OpenID provider (npm), with the page of docs/log-in-by-providers.md and, in Chromium, the server's own.
	cd test/oidc && npm ci --no-audit --no-fund
	LATCHKEY_TEST_OIDC=1 go test -count=1 -v ./test/oidc

build: ## Builds one static binary, ./latchkey, reproducibly.
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-X github.com/latchkey/latchkey/app.stamp=$(VERSION)' -o latchkey .

# The vulnerability database is on the network, or at GOVULNDB. Exit code 3 means that there are findings.
vuln: ## Checks linked code for known vulnerabilities.
	@$(GOVULNCHECK) $(if $(GOVULNDB),-db $(GOVULNDB)) ./... || { code=$$?; [ $$code = 3 ] && exit 3; \
	echo "SKIPPED: govulncheck could not read the database of vulnerabilities; set GOVULNDB to a copy"; }

sbom: ## Writes a bill of materials with licences, sbom.json (CycloneDX).
	go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 app -json -licenses -output sbom.json .
