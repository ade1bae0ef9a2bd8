# The commands of everyday work. `just ci` is what a change must pass.

# Shows this list.
default:
    @just --list

# Formats the code.
fmt:
    cargo fmt

# Lints everything; warnings fail.
lint:
    cargo clippy --all-targets --all-features -- -D warnings

# Runs all tests, doc tests included.
test:
    cargo test

# Builds the documentation of the crate; warnings fail.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Writes anew what is made from the code: docs/programmes.md, the schemas of policy files, what is said about bad ones.
docs:
    UPDATE=1 cargo test --test docs --test policies

# Checks dependencies: bans, licences, sources.
deny:
    cargo deny check bans licenses sources

# Everything that .ci/run does, in its order: it is that script.
ci:
    .ci/run

# Serves the demo population.
demo:
    cargo run --release -- serve --demo

# Load scenarios and their gate, against a running server: just load, just load HOST:PORT single batch_200.
load *args:
    ghz/run {{args}}

# Measures everything and writes docs/performance.md: just bench, just bench --quick, just bench tail scale.
bench *args:
    cargo bench --profile dist --bench grpc -- --out target/performance.jsonl {{args}}
    python3 -B benches/grpc/report.py target/performance.jsonl docs/performance.md

# Measures the server over gRPC as it is shipped, without writing anything: just bench-grpc score --quick.
bench-grpc *args:
    cargo bench --profile dist --bench grpc -- {{args}}

# Times the hot path in process.
bench-hot-path *args:
    cargo bench --bench hot_path {{args}}

# Counts the instructions of the hot path and fails on growth above 5 %; needs valgrind and gungraun-runner.
instructions *args:
    python3 -B benches/instruction_gate.py {{args}}

# Kills a writing server 200 times and looks for lost writes.
crash-200:
    TRUSTFLOW_CRASH_ROUNDS=200 cargo test --test crash

# A simulated day of traffic against a server that is killed again and again: docs/simulated-day.md.
simulated-day *args:
    cargo bench --profile release --bench simulated_day -- {{args}}

# Value of allocation against the hindsight optimum, on the shared streams: just bench-allocation --quick --baselines.
bench-allocation *args:
    cargo bench --profile release --bench allocation -- {{args}}
