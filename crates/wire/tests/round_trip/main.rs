//! Every message between roles comes back from its bytes as it was. The samples are
//! drawn by `Draw` from the types themselves, so a new variant or field is covered
//! without being listed here.

mod draw;

use std::{collections::BTreeSet, fmt::Debug};

use bytes::BytesMut;
use draw::Draw;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wire::{codec, control, manager, store, worker};

const SAMPLES: u64 = 2_000;

fn check<T: Serialize + DeserializeOwned + Debug>() {
    let mut seen = BTreeSet::new();
    for seed in 0..SAMPLES {
        let drawn = T::deserialize(&mut Draw::new(seed)).unwrap_or_else(|error| {
            panic!("{}: seed {seed}: {error}", std::any::type_name::<T>());
        });
        let mut bytes = BytesMut::new();
        codec::encode(&drawn, &mut bytes).unwrap();
        let text = format!("{drawn:?}");
        let back = codec::decode::<T>(&bytes).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(format!("{back:?}"), text);
        seen.insert(text);
    }
    assert!(seen.len() > 1, "the draws of {} are all alike", std::any::type_name::<T>());
}

#[test]
fn messages_of_managers_round_trip() {
    check::<manager::ManagerCall>();
    check::<manager::ManagerAnswer>();
    check::<manager::ManagerNote>();
}

#[test]
fn messages_of_workers_round_trip() {
    check::<worker::WorkerCall>();
    check::<worker::WorkerAnswer>();
    check::<worker::WorkerNote>();
}

#[test]
fn messages_of_control_round_trip() {
    check::<control::ControlCall>();
    check::<control::ControlAnswer>();
}

#[test]
fn messages_of_the_store_round_trip() {
    check::<store::StoreCall>();
    check::<store::StoreAnswer>();
}

#[test]
fn values_of_the_store_are_not_shown() {
    let value = store::Value(bytes::Bytes::from_static(b"hush"));
    assert_eq!(format!("{:?}", store::Op::Put("k".into(), value)), "Put(\"k\", 4 bytes)");
}

/// The control run: what postcard cannot carry is found.
#[test]
fn attributes_that_postcard_cannot_carry_are_found() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Skips {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<u8>,
        second: String,
    }
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(u64),
        Text(String),
    }
    for wrong in [check::<Skips>, check::<Untagged>] {
        assert!(std::panic::catch_unwind(wrong).is_err());
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = BytesMut::new();
    codec::encode(&7_u64, &mut bytes).unwrap();
    bytes.extend_from_slice(b"x");
    assert_eq!(codec::decode::<u64>(&bytes), Err(codec::Undecodable::TrailingBytes(1)));
}
