//! The request reader alone: what it takes for a request, and that it takes the same
//! ones however their bytes were split into reads.

use aws_api::runtime_api::Refusal;
use bytes::{Bytes, BytesMut};
use model::{RequestId, limits};
use proptest::prelude::*;

use super::{
    ReportedError, ResponseBody,
    head::{HEAD_BYTES_MAX, HEADERS_MAX},
    request::{Broken, DROPPED_BYTES_MAX, ReplyForm, Request, RequestReader, Taken},
};

const ID: &str = "00000000-0000-4000-8000-000000000007";

/// All requests of some reads, and how the reader ended if it did.
fn read(reads: &[&[u8]]) -> (Vec<Taken>, Option<Broken>) {
    let (mut reader, mut received, mut taken) =
        (RequestReader::default(), BytesMut::new(), Vec::new());
    for read in reads {
        received.extend_from_slice(read);
        loop {
            match reader.take(&mut received) {
                Ok(Some(request)) => taken.push(request),
                Ok(None) => break,
                Err(broken) => return (taken, Some(broken)),
            }
        }
    }
    let cut_short = reader.cut_short();
    (taken, cut_short)
}

fn one(bytes: &str) -> Taken {
    let (mut taken, broken) = read(&[bytes.as_bytes()]);
    assert_eq!((taken.len(), broken), (1, None), "{bytes:?}");
    taken.remove(0)
}

fn response(headers: &str, body: &str) -> String {
    format!("POST /2018-06-01/runtime/invocation/{ID}/response HTTP/1.1\r\n{headers}\r\n{body}")
}

fn whole(body: &'static str) -> Request {
    let body = ResponseBody::Whole(Bytes::from_static(body.as_bytes()));
    Request::Response { id: RequestId::parse(ID), body }
}

#[test]
fn bodies_are_framed_by_length_or_by_chunks() {
    let chunked = "4;ext=1\r\nhalf\r\nA\r\n and whole\r\n0\r\nx: y\r\n\r\n";
    for (headers, body, wanted) in [
        ("content-length: 4\r\n", "true", "true"),
        ("Content-Length: 0\r\n", "", ""),
        ("", "", ""),
        ("content-length: 2\r\ncontent-length: 2\r\n", "{}", "{}"),
        ("Transfer-Encoding: Chunked\r\n", chunked, "half and whole"),
        ("transfer-encoding: chunked\r\n", "0\r\n\r\n", ""),
    ] {
        assert_eq!(one(&response(headers, body)).request, whole(wanted), "{headers}");
    }
}

#[test]
fn a_trailer_is_an_error_of_a_streamed_response_only() {
    let body = "2\r\n{}\r\n0\r\nLambda-Runtime-Function-Error-Type: Runtime.A\r\n\
                lambda-runtime-function-error-body: e30=\r\n\r\n";
    let error =
        ReportedError { error_type: Some("Runtime.A".to_owned()), json: Bytes::from_static(b"{}") };
    let streaming = "lambda-runtime-function-response-mode: streaming\r\n";
    let request = one(&response(&format!("{streaming}transfer-encoding: chunked\r\n"), body));
    let id = RequestId::parse(ID);
    assert_eq!(request.request, Request::Response { id, body: ResponseBody::Broken(error) });
    assert_eq!(one(&response("transfer-encoding: chunked\r\n", body)).request, whole("{}"));
}

#[test]
fn what_cannot_be_framed_without_doubt_is_malformed() {
    for headers in [
        "content-length: -1\r\n",
        "content-length: 1, 1\r\n",
        "content-length: \r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: 1\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "no colon\r\n",
    ] {
        let ended = read(&[response(headers, "x").as_bytes()]);
        assert_eq!(ended, (Vec::new(), Some(Broken::Malformed)), "{headers}");
    }
    let old = response("transfer-encoding: chunked\r\n", "").replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(read(&[old.as_bytes()]).1, Some(Broken::Malformed));
    for chunks in ["x\r\n", "1\r\nab\r\n0\r\n\r\n", "0\r\nno colon\r\n\r\n"] {
        let request = response("transfer-encoding: chunked\r\n", chunks);
        assert_eq!(read(&[request.as_bytes()]).1, Some(Broken::Truncated), "{chunks:?}");
    }
}

#[test]
fn a_target_may_be_absolute_or_have_a_query() {
    let next = "/2018-06-01/runtime/invocation/next";
    for target in [next, &format!("http://127.0.0.1:9001{next}"), &format!("{next}?a=b")] {
        let request = one(&format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n"));
        assert_eq!(request.request, Request::Next, "{target}");
    }
}

#[test]
fn a_request_says_how_it_wants_its_answer() {
    let plain = ReplyForm::default();
    let last = ReplyForm { last: true, ..plain };
    for (request, wanted) in [
        ("GET /ping HTTP/1.1\r\n\r\n", plain),
        ("GET /ping HTTP/1.1\r\nconnection: keep-alive, Close\r\n\r\n", last),
        ("GET /ping HTTP/1.0\r\n\r\n", last),
        ("HEAD /ping HTTP/1.1\r\n\r\n", ReplyForm { head_only: true, ..plain }),
    ] {
        assert_eq!(one(request).reply, wanted, "{request}");
    }
}

#[test]
fn a_body_is_asked_for_where_it_waits_for_that_and_is_wanted() {
    let expect = "expect: 100-continue\r\ncontent-length: 2\r\n";
    let head = response(expect, "");
    let (mut reader, mut received) = (RequestReader::default(), BytesMut::from(head.as_bytes()));
    assert_eq!(reader.take(&mut received), Ok(None));
    assert!(reader.take_continue());
    assert!(!reader.take_continue());
    received.extend_from_slice(b"{}");
    let taken = reader.take(&mut received).unwrap().unwrap();
    assert_eq!((taken.request, taken.reply), (whole("{}"), ReplyForm::default()));

    // A refusal takes the place of `100 Continue`, and ends the connection.
    let too_long = limits::RESPONSE_BYTES_MAX + 1;
    let expect = format!("expect: 100-continue\r\ncontent-length: {too_long}\r\n");
    let refused = one(&response(&expect, ""));
    let wanted = Request::Response { id: RequestId::parse(ID), body: ResponseBody::TooLarge };
    assert_eq!((refused.request, refused.reply.last), (wanted, true));
}

#[test]
fn bodies_over_the_limit_are_told_early_dropped_and_followed_by_the_next() {
    let over = usize::try_from(limits::RESPONSE_BYTES_MAX).unwrap() + 1;
    let ping = "GET /ping HTTP/1.1\r\n\r\n";
    let body = "x".repeat(over);
    let declared = format!("{}{body}{ping}", response(&format!("content-length: {over}\r\n"), ""));
    let chunked = response("transfer-encoding: chunked\r\n", &format!("{over:x}\r\n{body}"));
    let chunked = format!("{chunked}\r\n0\r\n\r\n{ping}");
    let too_large = |request: &Request| {
        matches!(request, Request::Response { body: ResponseBody::TooLarge, .. })
    };
    for request in [declared, chunked] {
        let (taken, broken) = read(&[request.as_bytes()]);
        assert!(too_large(&taken[0].request) && broken.is_none());
        assert_eq!(taken[1].request, Request::Ping);
    }
    let error =
        format!("POST /2018-06-01/runtime/init/error HTTP/1.1\r\ncontent-length: {over}\r\n\r\n");
    assert_eq!(one(&error).request, Request::Refused(Refusal::RequestEntityTooLarge));
}

#[test]
fn an_endless_body_is_not_dropped_for_ever() {
    let mut reader = RequestReader::default();
    let head = response("content-length: 18446744073709551615\r\n", "");
    let mut received = BytesMut::from(head.as_bytes());
    assert!(reader.take(&mut received).unwrap().is_some());
    let block = vec![b'x'; 1024 * 1024];
    let mut blocks = 0;
    let broken = loop {
        received.extend_from_slice(&block);
        blocks += 1;
        match reader.take(&mut received) {
            Ok(taken) => assert_eq!((taken, received.len()), (None, 0)),
            Err(broken) => break broken,
        }
    };
    assert_eq!((broken, blocks), (Broken::Rest, DROPPED_BYTES_MAX / block.len() as u64 + 1));
}

#[test]
fn heads_and_trailers_are_bounded() {
    let cause = "c".repeat(1024 * 1024);
    let large = response(&format!("lambda-runtime-function-xray-error-cause: {cause}\r\n"), "");
    assert_eq!(one(&large).request, whole(""), "what AWS's clients may send");
    let longer = response(&format!("x: {}\r\n", "c".repeat(HEAD_BYTES_MAX)), "");
    let many = response(&"x: y\r\n".repeat(HEADERS_MAX + 1), "");
    for head in [&longer, &many, &longer[..longer.len() - 2]] {
        assert_eq!(read(&[head.as_bytes()]), (Vec::new(), Some(Broken::HeadTooLong)));
    }
    let trailers = response("transfer-encoding: chunked\r\n", &format!("0\r\nx: {cause}{cause}"));
    assert_eq!(read(&[trailers.as_bytes()]).1, Some(Broken::Truncated));
}

/// One request among those that follow each other, of any kind.
fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..200);
    let framed = (body, 1_usize..50, any::<bool>()).prop_map(|(body, step, chunked)| {
        if !chunked {
            let mut framed = format!("content-length: {}\r\n\r\n", body.len()).into_bytes();
            framed.extend_from_slice(&body);
            return framed;
        }
        let mut framed = b"transfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(step) {
            framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            framed.extend_from_slice(chunk);
            framed.extend_from_slice(b"\r\n");
        }
        framed.extend_from_slice(b"0\r\nlambda-runtime-function-error-type: Runtime.A\r\n\r\n");
        framed
    });
    let line = prop::sample::select(vec![
        "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n",
        "POST /2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000007/response HTTP/1.1\r\n",
        "POST /2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000007/response HTTP/1.1\r\n\
         lambda-runtime-function-response-mode: streaming\r\n",
        "POST /2018-06-01/runtime/invocation/x/error HTTP/1.1\r\n\
         lambda-runtime-function-error-type: Runtime.A\r\n",
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nconnection: close\r\n",
        "\r\n\r\nPOST /nowhere HTTP/1.1\r\nexpect: 100-continue\r\n",
    ]);
    (line, framed).prop_map(|(line, framed)| [line.as_bytes(), &framed].concat())
}

proptest! {
    #[test]
    fn any_split_into_reads_gives_the_same_requests(
        requests in prop::collection::vec(any_request(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        broken in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = requests.concat();
        // One wrong byte somewhere must not change that either.
        let sound = broken.is_none();
        if let Some(at) = broken {
            let at = at.index(bytes.len());
            bytes[at] ^= 0x15;
        }
        let together = read(&[&bytes]);
        prop_assert!(!sound || (together.0.len() == requests.len() && together.1.is_none()));
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        let mut from = 0;
        let reads: Vec<&[u8]> = ends.iter().map(|end| {
            let read = &bytes[from..*end];
            from = *end;
            read
        }).collect();
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let (apart, singly) = (read(&reads), read(&single));
        // A head that is wrong and never ends is told when it is seen whole or never.
        if together.1 == apart.1 && together.1 == singly.1 {
            prop_assert_eq!(&together, &apart);
            prop_assert_eq!(&together, &singly);
        } else {
            prop_assert!(!sound);
            prop_assert_eq!(&together.0, &apart.0);
            prop_assert_eq!(&together.0, &singly.0);
        }
    }
}
