//! Another process that only reads, for the test of several processes. Not shipped,
//! and no test by itself.
//!
//! Arguments: the directory, a seed, and the object's root, length and chunks, as in
//! `{chunk}={length},...`. Prints `open` once it has opened the object, waits for a line, reads it, and prints `whole` where
//! its bytes are those that follow from the seed; or `gone` where there is no root.

use std::io::{Read as _, stdin};

use model::{ChunkId, Manifest, RootId, manifest::ChunkRef};
use objects::{GetError, ReadOnly, RootError};
use pattern::pattern;

#[path = "../pattern/mod.rs"]
mod pattern;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let objects = ReadOnly::at(arguments.next().expect("a directory").as_ref());
    let seed: u64 = arguments.next().and_then(|text| text.parse().ok()).expect("a seed");
    let root = RootId(arguments.next().expect("a root"));
    let length = arguments.next().and_then(|text| text.parse().ok()).expect("a length");
    let chunks = arguments.next().expect("chunks");
    let chunks = chunks.split(',').map(|chunk| parse(chunk).expect("a chunk")).collect();
    let manifest = Manifest { root, length, chunks };
    let mut reader = match objects.get(&manifest) {
        Ok(reader) => reader,
        Err(GetError::Root(RootError::NoSuchRoot { .. })) => return println!("gone"),
        Err(error) => panic!("{error}"),
    };
    println!("open");
    stdin().read_line(&mut String::new()).expect("a line");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("every chunk");
    assert!(bytes == pattern(seed, manifest.length), "other bytes");
    println!("whole");
}

fn parse(chunk: &str) -> Option<ChunkRef> {
    let (hex, length) = chunk.split_once('=')?;
    let mut id = [0; 32];
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(ChunkRef { id: ChunkId(id), length: length.parse().ok()? })
}
