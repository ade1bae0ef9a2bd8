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

# Kills a writing server at random, and ends a writing process at every named step of a commit: just crash 200.
crash rounds="50":
    TRUSTFLOW_CRASH_ROUNDS={{rounds}} cargo test --test crash --test crash_points -- --nocapture

# Lets disks fail at every step of a commit, and fills them: just disks 50. Full disks need the right to mount.
disks rounds="50":
    TRUSTFLOW_IO_ROUNDS={{rounds}} cargo test --test io_errors --test full_disk -- --nocapture

# Flips bits in files of a data folder and cuts them: just damage 500.
damage rounds="200":
    TRUSTFLOW_DAMAGE_ROUNDS={{rounds}} cargo test --test damage -- --nocapture

# The protocol suite h2spec against the server; needs go install github.com/summerwind/h2spec/cmd/h2spec@latest.
h2spec:
    PATH="$PATH:$HOME/go/bin" cargo test --test h2spec -- --ignored --nocapture

# Simulated lives with crashes, one for each seed: just simulate-crashes 100.
simulate-crashes seeds="20":
    TRUSTFLOW_SIMULATIONS={{seeds}} cargo test --test simulation -- --nocapture

# Runs the models of hand-written synchronisation under loom.
models:
    TRUSTFLOW_LOOM=1 CARGO_TARGET_DIR=target/loom cargo test --lib models::

# Fuzzes a target of fuzz/ under libFuzzer, 10 million times unless told otherwise: just fuzz hot_codec 1000000.
fuzz target runs="10000000":
    fuzz/run {{target}} {{runs}}

# Runs changed inputs through every target without libFuzzer: just fuzz-smoke 100000.
fuzz-smoke runs="20000":
    TRUSTFLOW_FUZZ_RUNS={{runs}} cargo test --test fuzz

# A simulated day of traffic against a server that is killed again and again: docs/simulated-day.md.
simulated-day *args:
    cargo bench --profile release --bench simulated_day -- {{args}}

# Mixed load with faults against a server that is killed in the middle; memory over time: just soak 20.
soak minutes="2":
    cargo bench --profile release --bench soak -- --minutes {{minutes}}

# Value of allocation against the hindsight optimum, on the shared streams: just bench-allocation --quick --baselines.
bench-allocation *args:
    cargo bench --profile release --bench allocation -- {{args}}
