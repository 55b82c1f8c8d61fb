//! The platform's own page of metrics, as a program reads it: sums over series, nothing
//! of what they mean.

use std::net::SocketAddr;

use anyhow::bail;

use crate::connection::Connection;

pub(crate) struct Page(String);

impl Page {
    pub(crate) fn read(address: SocketAddr) -> anyhow::Result<Page> {
        Page::ask(&mut Connection::open(address)?, address)
    }

    /// Over a connection that is kept.
    pub(crate) fn ask(connection: &mut Connection, address: SocketAddr) -> anyhow::Result<Page> {
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\n\r\n");
        let answer = connection.ask(request.as_bytes())?;
        if answer.status != 200 {
            bail!("the page of metrics was answered with {}", answer.status);
        }
        Ok(Page(String::from_utf8_lossy(&answer.body).into_owned()))
    }

    /// Over all series of a metric whose labels contain the text; 0 where there are none.
    pub(crate) fn sum(&self, metric: &str, labels: &str) -> f64 {
        let value = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let of = series.strip_prefix(metric)?;
            let named = of.is_empty() || of.starts_with('{');
            if named && of.contains(labels) { value.parse::<f64>().ok() } else { None }
        };
        self.0.lines().filter_map(value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_summed() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3\na_b 7\n\nc 0.5\n";
        let page = Page(text.to_owned());
        assert_eq!(page.sum("a", ""), 5.0);
        assert_eq!(page.sum("a", "x=\"2\""), 3.0);
        assert_eq!((page.sum("c", ""), page.sum("d", "")), (0.5, 0.0));
    }
}
