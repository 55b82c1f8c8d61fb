//! The spawner as a program of its own, for this crate's tests. The product runs
//! `sandbox::spawner::main` from a hidden subcommand of its one binary instead.

fn main() {
    sandbox::spawner::main(sandbox::spawner::SOCKET_FD)
}
