//! HTTP/1.1 messages as bytes: where one ends, its status or request line, its
//! headers, its body. No sockets here; both the load generator and the Runtime
//! API floor read through it.

use anyhow::{Context, bail};

/// Where a complete message at the start of a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Bytes of the head, its empty line included.
    pub(crate) head: usize,
    pub(crate) end: usize,
    chunked: bool,
}

/// The first message, once all of it is there.
pub(crate) fn extent(buffer: &[u8]) -> anyhow::Result<Option<Extent>> {
    let Some(blank) = find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let head = blank + 4;
    let text = std::str::from_utf8(&buffer[..head]).context("reading an HTTP head")?;
    if header(text, "transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        let end = chunks(&buffer[head..], |_| {})?.map(|bytes| head + bytes);
        return Ok(end.map(|end| Extent { head, end, chunked: true }));
    }
    let body = header(text, "content-length").map_or(Ok(0), str::parse::<usize>);
    let end = head + body.context("reading a Content-Length")?;
    Ok((buffer.len() >= end).then_some(Extent { head, end, chunked: false }))
}

impl Extent {
    pub(crate) fn body(&self, buffer: &[u8]) -> anyhow::Result<Vec<u8>> {
        let coded = &buffer[self.head..self.end];
        if !self.chunked {
            return Ok(coded.to_vec());
        }
        let mut body = Vec::new();
        chunks(coded, |chunk| body.extend_from_slice(chunk))?;
        Ok(body)
    }
}

pub(crate) fn status(head: &[u8]) -> anyhow::Result<u16> {
    let digits = head.get(9..12).context("an answer without a status line")?;
    Ok(std::str::from_utf8(digits)?.parse()?)
}

/// A header's value; names are compared without regard to case.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n").skip(1);
    let mut pairs = lines.filter_map(|line| line.split_once(':'));
    pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// Calls `take` for every chunk; the length of the coded body once it is whole.
fn chunks(coded: &[u8], mut take: impl FnMut(&[u8])) -> anyhow::Result<Option<usize>> {
    let mut at = 0;
    loop {
        let Some(line) = find(&coded[at..], b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&coded[at..at + line])?;
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16)
            .context("reading the size of a chunk")?;
        let from = at + line + 2;
        let Some(chunk) = coded.get(from..from + size + 2) else { return Ok(None) };
        if &chunk[size..] != b"\r\n" {
            bail!("a chunk is longer than it says");
        }
        take(&chunk[..size]);
        at = from + size + 2;
        if size == 0 {
            return Ok(Some(at));
        }
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    within.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_whole_only_with_its_last_byte() {
        let messages: [(&[u8], &[u8]); 4] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
            (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", b"abc"),
            (b"GET /next HTTP/1.1\r\nHost: h\r\n\r\n", b""),
        ];
        for (message, body) in messages {
            for cut in 0..message.len() {
                assert_eq!(extent(&message[..cut]).unwrap(), None, "{cut}");
            }
            let mut followed = message.to_vec();
            followed.extend_from_slice(b"HTTP/1.1 500");
            let whole = extent(&followed).unwrap().unwrap();
            assert_eq!(whole.end, message.len());
            assert_eq!(whole.body(&followed).unwrap(), body);
        }
    }

    #[test]
    fn heads_are_read() {
        let head = "HTTP/1.1 429 Too Many\r\nX-Amz-Log-Result: aGk=\r\n\r\n";
        assert_eq!(status(head.as_bytes()).unwrap(), 429);
        assert_eq!(header(head, "x-amz-log-result"), Some("aGk="));
        assert_eq!(header(head, "x-amz"), None);
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(extent(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        assert!(extent(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").is_err());
    }
}
