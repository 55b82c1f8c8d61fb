//! Row group *payload*: a Python function echoes 1 and 6 MiB. Floors: a plain
//! echo server on the same HTTP library, and the runtime client called directly.

use crate::{
    connection::Connection,
    direct::invoke_frame,
    echo_server::EchoServer,
    functions::Kind,
    ground::{Ground, echo},
    report::Row,
    sample::Samples,
};

const GROUP: &str = "payload";
const MIB: usize = 1024 * 1024;

pub(crate) fn measure(ground: &Ground<'_>) -> anyhow::Result<Vec<Row>> {
    let server = EchoServer::start()?;
    let mut floor = Connection::open(server.address)?;
    let mut direct = ground.direct(Kind::Python)?;
    let mut ours = Connection::open(ground.running.address)?;
    let mut rows = Vec::new();
    for size in [1, 6] {
        let event = text_of(size * MIB);
        let plain = [
            format!("POST / HTTP/1.1\r\nhost: floor\r\ncontent-length: {}\r\n\r\n", event.len())
                .into_bytes(),
            event.clone(),
        ]
        .concat();
        let signed = ground.invoke_request(&echo(Kind::Python), &event);
        let frame = invoke_frame(&event)?;
        let [mut taken, mut plain_ms, mut direct_ms]: [Samples; 3] = Default::default();
        let (rounds, calls) = (ground.amounts.payload_rounds, ground.amounts.payload_calls);
        // The first round only warms up.
        for round in 0..=rounds {
            eprintln!("bench: payload, {size} MiB, round {round} of {rounds}");
            let a = ground.timed(&mut floor, &plain, calls)?;
            let b = ground.timed(&mut ours, &signed, calls)?;
            let c = direct.timed(ground.clock, &frame, calls)?;
            if round > 0 {
                plain_ms.extend(&a.scaled(1e-3));
                direct_ms.extend(&c.scaled(1e-3));
                taken.extend(&b.scaled(1e-3));
            }
        }
        let measure = format!("python echo {size} MiB");
        let row = |floor, note| Row::medians(GROUP, &measure, "ms", &taken, Some(floor), note);
        rows.push(row(&plain_ms, "a: plain hyper echo"));
        rows.push(row(&direct_ms, "b: our runtime client, direct"));
    }
    Ok(rows)
}

/// A JSON string of exactly so many bytes.
fn text_of(bytes: usize) -> Vec<u8> {
    let mut text = vec![b'a'; bytes];
    text[0] = b'"';
    text[bytes - 1] = b'"';
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_json_of_the_exact_size() {
        let text = text_of(64);
        assert_eq!(text.len(), 64);
        let parsed: String = serde_json::from_slice(&text).unwrap();
        assert_eq!(parsed.len(), 62);
    }
}
