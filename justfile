# Everything that a change is built, tested and measured with; `just` lists it.

_default:
    @just --list --unsorted

# compile the program
build:
    cargo build --locked

# the tests that run anywhere; what is missing on this machine is said on standard error
test *FILTER:
    cargo test --locked {{ FILTER }}

# all tests with everything that they can be held to, and twenty kills on each store
test-full:
    MPSCRIPT_REQUIRE=python,chromium,postgres,pgbouncer,namespaces,nginx,systemd,faketime,tmux MPSCRIPT_KILLS=20 cargo test --locked

# a year of fifty automations on a turned clock
test-year:
    MPSCRIPT_DAYS=365 cargo test --locked --release --test it schedule_simulation -- --nocapture

# format, lints, spelling; licences and sources of crates are a test (project::dependencies)
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    typos

# measure: the main job, or the bench that is named (bulk_job, ledger, record, repl, serve)
bench NAME="main_job":
    cargo bench --locked --bench {{ NAME }}

# write the reference, the definitions for editors and the list of covered endpoints
docs:
    MPSCRIPT_WRITE=1 cargo test --locked --test it -- reference conformance

# the platform's simulator at a fixed address
sandbox *ARGUMENTS:
    cargo run --locked -- sandbox --listen 127.0.0.1:8765 {{ ARGUMENTS }}

# check the subjects of commits, in this checkout
hooks:
    git config core.hooksPath .githooks
