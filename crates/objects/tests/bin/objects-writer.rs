//! The victim of the crash test: stores objects as fast as it can and prints a line
//! for each that was acknowledged, until it is killed. Not shipped, and no test by
//! itself.
//!
//! Arguments: the directory, a seed, and the root. A line is
//! `{seed} {length} {sha256} {chunk}={length},...`; the bytes follow from seed and
//! length by `pattern`.

use std::io::{Write as _, stdout};

use model::RootId;
use objects::Objects;
use pattern::pattern;

#[path = "../pattern/mod.rs"]
mod pattern;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().expect("a directory");
    let mut seed: u64 = arguments.next().and_then(|text| text.parse().ok()).expect("a seed");
    let root = RootId(arguments.next().expect("a root"));
    let objects = Objects::open(directory.as_ref()).expect("the directory opens");
    objects.create_root(&root).expect("a root");
    loop {
        seed += 1;
        let length = (seed * 7_919_993) % 1_500_000;
        let stored = objects.put(&root, &pattern(seed, length)[..]).expect("a put");
        let chunks = stored.manifest.chunks.iter();
        let chunks: Vec<_> = chunks.map(|c| format!("{}={}", c.id, c.length)).collect();
        let mut out = stdout().lock();
        writeln!(out, "{seed} {length} {} {}", stored.sha256, chunks.join(","))
            .and_then(|()| out.flush())
            .expect("a reader");
    }
}
