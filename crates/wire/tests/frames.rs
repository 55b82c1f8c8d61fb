//! Frames keep their content under every split of the byte stream, and bytes that
//! are no frames are refused at once.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use wire::{
    codec::Unencodable,
    frame::{self, Content, Frame, Greeting, GreetingError, Hello, Malformed},
};

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn content() -> impl Strategy<Value = Content> {
    (bytes(300), bytes(300), any::<bool>()).prop_map(|(message, piece, more)| Content {
        message,
        piece,
        more,
    })
}

fn frames() -> impl Strategy<Value = Frame> {
    let stream = any::<u64>;
    prop_oneof![
        bytes(100).prop_map(Frame::Hello),
        bytes(100).prop_map(Frame::Greeting),
        (stream(), content()).prop_map(|(stream, content)| Frame::Call { stream, content }),
        bytes(300).prop_map(Frame::Note),
        (stream(), content()).prop_map(|(stream, content)| Frame::Answer { stream, content }),
        stream().prop_map(Frame::NoAnswer),
        (stream(), bytes(300), any::<bool>()).prop_map(|(stream, bytes, last)| Frame::Piece {
            stream,
            bytes,
            last
        }),
        stream().prop_map(Frame::Broken),
        (stream(), any::<u32>()).prop_map(|(stream, bytes)| Frame::Room { stream, bytes }),
        stream().prop_map(Frame::Stop),
        Just(Frame::Alive),
        any::<Option<u16>>().prop_map(Frame::At),
    ]
}

proptest! {
    #[test]
    fn frames_survive_every_split(
        sent in prop::collection::vec(frames(), 0..20),
        cuts in prop::collection::vec(1_usize..200, 1..50),
    ) {
        let mut line = BytesMut::new();
        for frame in &sent {
            frame::put(&mut line, frame);
        }
        let mut cuts = cuts.into_iter().cycle();
        let (mut buffer, mut got) = (BytesMut::new(), Vec::new());
        while !line.is_empty() {
            let cut = cuts.next().unwrap().min(line.len());
            buffer.extend_from_slice(&line.split_to(cut));
            while let Some(frame) = frame::take(&mut buffer).unwrap() {
                got.push(frame);
            }
        }
        prop_assert_eq!(got, sent);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn noise_is_refused_or_waits_and_never_panics(noise in bytes(200)) {
        let mut buffer = BytesMut::from(&noise[..]);
        while let Ok(Some(_)) = frame::take(&mut buffer) {}
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused_by_its_head() {
    let head = |length: u32, kind: u8| {
        let mut head = BytesMut::new();
        head.put_u32_le(length);
        head.put_u8(kind);
        head
    };
    let longest = (9 + frame::PIECE_BYTES_MAX) as u32;
    assert_eq!(frame::take(&mut head(longest, 9)), Ok(None));
    let refused = Malformed::Length { kind: 9, bytes: longest as usize + 1 };
    assert_eq!(frame::take(&mut head(longest + 1, 9)), Err(refused));
    assert!(frame::take(&mut head(u32::MAX, 3)).is_err());
    assert_eq!(frame::take(&mut head(3, 14)), Err(Malformed::Length { kind: 14, bytes: 3 }));
    assert_eq!(frame::take(&mut head(9, 99)), Err(Malformed::Kind(99)));
}

#[test]
fn a_message_that_is_too_long_leaves_nothing_behind() {
    let mut out = BytesMut::from(&b"before"[..]);
    let long = vec![0; frame::MESSAGE_BYTES_MAX + 1];
    let write = |out: &mut BytesMut| {
        out.extend_from_slice(&long);
        Ok(())
    };
    let refused = Unencodable::TooLong { bytes: long.len(), max: frame::MESSAGE_BYTES_MAX };
    assert_eq!(frame::put_call(&mut out, 1, write, b"", false), Err(refused.clone()));
    assert_eq!(frame::put_note(&mut out, write), Err(refused));
    assert_eq!(&out[..], b"before");
}

fn greeting_of(frame: Frame) -> Bytes {
    let (Frame::Hello(bytes) | Frame::Greeting(bytes)) = frame else { panic!("{frame:?}") };
    bytes
}

#[test]
fn another_version_is_named() {
    let hello = Hello { to: "worker-3".into(), from: "manager-2".into() };
    let bytes = greeting_of(hello.to_frame());
    assert_eq!(Hello::read(&bytes), Ok(hello));
    let mut other = bytes.to_vec();
    other[4] = 9;
    assert_eq!(Hello::read(&other), Err(GreetingError::Version { theirs: 9 }));
    let text = Hello::read(&other).unwrap_err().to_string();
    assert!(text.contains("version 9"), "{text}");
    assert_eq!(Hello::read(b"GET / HTTP/1.1"), Err(GreetingError::NotLambent));
    assert_eq!(Hello::read(b""), Err(GreetingError::NotLambent));
}

#[test]
fn a_refusal_always_fits() {
    let reason = "ä".repeat(4_000);
    let bytes = greeting_of(Greeting::Refused { reason }.to_frame());
    assert!(bytes.len() < frame::GREETING_BYTES_MAX);
    assert!(matches!(Greeting::read(&bytes), Err(GreetingError::Refused(_))));
}
